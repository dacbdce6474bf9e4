/** Whether every word that was typed is a part of one of these texts; upper and lower case are the same. Pure. */
export function isFound(typed: string, texts: readonly (string | null | undefined)[]): boolean {
  const all = texts.map((text) => text?.toLowerCase() ?? "");
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.some((text) => text.includes(word)));
}
