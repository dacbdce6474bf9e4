import { registerHooks } from "node:module";

/**
 * Loaded before the server's own main file (`node --import`): projects whose id begins with "plain-" get plain folders instead of
 * clones, everything else is the product as it is. A clone costs some fifty programs and 250 ms of processor time, so that two
 * cores would spend a whole run on git; a part of the tasks still goes through it, in projects of another name.
 */
const ours = new URL("plain-workspaces.ts", import.meta.url).href;
const product = new URL("../../src/workspaces/open.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return found.url === product && context.parentURL !== ours ? { ...found, url: ours } : found;
  },
});
