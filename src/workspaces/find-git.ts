import { findProgram } from "../processes/program.ts";

/** Where git is on this search path, for `doctor`; null when it is not there. */
export const findGit = (path: string): string | null => findProgram("git", path);
