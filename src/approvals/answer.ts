/** What a person's answer means. Pure. */

interface PermissionOption {
  id: string;
  label: string;
  allows: boolean;
  lasting: boolean;
}

/**
 * The answer as one of the options: the option itself, or "yes" and "no" for the first and the last.
 * null when it is neither.
 */
export function readAnswer(options: string[], answer: string): string | null {
  const wanted = answer.trim().toLowerCase();
  const exact = options.find((option) => option.toLowerCase() === wanted);
  if (exact !== undefined) return exact;
  if (wanted === "yes") return options[0] ?? null;
  if (wanted === "no") return options.at(-1) ?? null;
  return null;
}

const refusal = "deny";

/** Words that mean something of their own: an agent that calls an allowing option so would turn a person's no into a yes. */
const ours = /^(?:yes|no|y|n|ok|deny|denied|reject|refuse|cancel|stop|never|decline|disallow)$/;

/** The allowing options under the words that a person is shown, each once; what allows least comes first. */
function allowing(options: PermissionOption[]): { id: string; label: string }[] {
  const shown = new Map<string, string>();
  const all = options.filter((option) => option.allows).toSorted((a, b) => Number(a.lasting) - Number(b.lasting));
  for (const { id, label, lasting } of all) {
    const word = label.normalize("NFKC").trim().toLowerCase();
    const name = word === "" || ours.test(word) ? (lasting ? "always allow" : "allow") : label;
    if (!shown.has(name)) shown.set(name, id);
  }
  return [...shown].map(([label, id]) => ({ id, label }));
}

/** The words for a permission request's options: what allows least comes first, refusing is always possible and last. */
export const permissionOptions = (options: PermissionOption[]): string[] => [...allowing(options).map(({ label }) => label), refusal];

/** The agent's own id for an answer; null refuses. Anything that cannot be understood refuses. */
export function permissionChoice(options: PermissionOption[], answer: string | null): string | null {
  const allowed = allowing(options).find(({ label }) => label === answer);
  if (allowed) return allowed.id;
  return options.find((option) => !option.allows && !option.lasting)?.id ?? null;
}
