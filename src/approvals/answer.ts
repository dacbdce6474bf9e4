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

/** The words for a permission request's options: what allows least comes first, refusing is always possible and last. */
export function permissionOptions(options: PermissionOption[]): string[] {
  const allowing = options.filter((option) => option.allows).toSorted((a, b) => Number(a.lasting) - Number(b.lasting));
  return [...new Set([...allowing.map((option) => option.label), "deny"])];
}

/** The agent's own id for an answer; null refuses. Anything that cannot be understood refuses. */
export function permissionChoice(options: PermissionOption[], answer: string | null): string | null {
  const allowed = options.find((option) => option.allows && option.label === answer);
  if (allowed) return allowed.id;
  return options.find((option) => !option.allows && !option.lasting)?.id ?? null;
}
