import { z } from "zod";

/**
 * What the in-process agent offers to its model. The descriptions are for the model; the work is done by the program in
 * `program/`, inside the session's sandbox. `asks` marks what needs a person's leave where permissions are "ask".
 */
interface ToolDeclaration {
  description: string;
  inputSchema: z.ZodType;
  asks: boolean;
}

const path = z.string().min(1).describe("relative to the working folder");

export const toolDeclarations = {
  read: {
    description: "Read a text file. Long files come in parts: the last line says how to read on.",
    inputSchema: z.object({
      path,
      offset: z.int().min(1).optional().describe("first line, from 1"),
      limit: z.int().min(1).optional().describe("how many lines; 2000 when left out"),
    }),
    asks: false,
  },
  write: {
    description: "Create a file or replace all of its content. Folders are made as needed.",
    inputSchema: z.object({ path, content: z.string() }),
    asks: true,
  },
  edit: {
    description:
      "Replace a text in a file. oldText must occur exactly once, with its exact white space; take lines around it to make it unique.",
    inputSchema: z.object({ path, oldText: z.string().min(1), newText: z.string() }),
    asks: true,
  },
  list: {
    description: "List files and folders, recursively. .git and node_modules are left out.",
    inputSchema: z.object({ path: path.optional(), depth: z.int().min(1).max(32).optional() }),
    asks: false,
  },
  search: {
    description: "Find lines in the files that contain a text, or match a regular expression when regex is true.",
    inputSchema: z.object({ pattern: z.string().min(1), path: path.optional(), regex: z.boolean().optional() }),
    asks: false,
  },
  shell: {
    description:
      "Run a command line with sh in the working folder. The answer is its output and exit code. It ends with everything that it started in the background.",
    inputSchema: z.object({
      command: z.string().min(1),
      timeoutMs: z.int().min(100).max(600_000).optional().describe("120000 when left out"),
    }),
    asks: true,
  },
} satisfies Record<string, ToolDeclaration>;

export type ToolName = keyof typeof toolDeclarations;

export const isToolName = (name: string): name is ToolName => Object.hasOwn(toolDeclarations, name);
