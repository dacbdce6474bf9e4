// zod would try whether it may make functions of text, which the page's policy forbids and reports. It is told here, where it looks
// when it is loaded: only some pages need it, and it is too large to come with the first.
(globalThis as { __zod_globalConfig?: { jitless: boolean } }).__zod_globalConfig = { jitless: true };

export {};
