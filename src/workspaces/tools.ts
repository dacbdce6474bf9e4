import { findProgram, readableFor } from "../processes/program.ts";

/** The folders of the usual tools where they lie in somebody's home (a Node from a version manager), so that agents can use them. */
export const toolFolders = (path: string): string[] => [
  ...new Set(
    ["node", "npm", "git", "python3"].flatMap((name) => {
      const program = findProgram(name, path);
      return program ? readableFor(program) : [];
    }),
  ),
];
