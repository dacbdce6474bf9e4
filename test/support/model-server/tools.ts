// Finds the tool of an unknown client that can write a file or run a command, and the arguments that it wants.
import { dirname, isAbsolute, join } from "node:path";
import { asObject, asText, type Conversation, type Json, type OfferedTool, type ToolCall } from "./conversation.ts";

const writers = ["write", "write_file", "create_file", "text_editor"];
const shells = ["bash", "shell", "run_shell_command", "exec_command", "run_command", "shell_command"];
const pathNames = ["filePath", "file_path", "path", "absolute_path", "filename", "target_file", "file"];
const contentNames = ["content", "contents", "file_text", "text", "new_str"];

const plainName = (name: string): string => name.toLowerCase().replace(/^.*(?:__|\.)/, "");
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function toolNamed(tools: OfferedTool[], names: string[]): OfferedTool | undefined {
  for (const name of names) {
    const found = tools.find((tool) => plainName(tool.name) === name);
    if (found) return found;
  }
  return undefined;
}

function propertyOf(tool: OfferedTool, names: string[]): string | undefined {
  const properties = asObject(tool.schema.properties);
  return names.find((name) => name in properties);
}

/** Some clients want absolute paths only; their system prompt or their first message names the folder. */
function pathFor(tool: OfferedTool, property: string, path: string, conversation: Conversation): string {
  const description = `${tool.description} ${asText(asObject(asObject(tool.schema.properties)[property]).description)}`;
  if (isAbsolute(path) || !/absolute/i.test(description)) return path;
  const everything = [conversation.system, ...conversation.said.map(({ text }) => text)].join("\n");
  const folder = /(?:working (?:in the )?directory|cwd)[^\n/]{0,40}(\/[^\s<"'`]+)/i.exec(everything)?.[1];
  return folder ? join(folder, path) : path;
}

/** Arguments that the schema demands beside the ones that matter: the first allowed value, or something harmless of its type. */
function withRequired(tool: OfferedTool, given: Json): Json {
  const filled: Json = { ...given };
  const properties = asObject(tool.schema.properties);
  for (const name of Array.isArray(tool.schema.required) ? tool.schema.required.map(String) : []) {
    if (name in filled) continue;
    const schema = asObject(properties[name]);
    if (Array.isArray(schema.enum)) filled[name] = schema.enum[0];
    else if (schema.type === "number" || schema.type === "integer") filled[name] = 60_000;
    else if (schema.type === "boolean") filled[name] = false;
    else if (schema.type === "array") filled[name] = [];
    else filled[name] = "as asked";
  }
  return filled;
}

function writeWith(tool: OfferedTool, path: string, content: string, conversation: Conversation): ToolCall | null {
  const pathName = propertyOf(tool, pathNames);
  const contentName = propertyOf(tool, contentNames);
  if (!pathName || !contentName) return null;
  const given: Json = { [pathName]: pathFor(tool, pathName, path, conversation), [contentName]: content };
  if (plainName(tool.name) === "text_editor") given.command = "write";
  return { name: tool.name, arguments: withRequired(tool, given) };
}

function editWith(tool: OfferedTool, path: string, content: string, conversation: Conversation): ToolCall | null {
  const pathName = propertyOf(tool, pathNames);
  const before = propertyOf(tool, ["oldString", "old_string", "old_str", "before"]);
  const after = propertyOf(tool, ["newString", "new_string", "new_str", "after"]);
  if (!pathName || !before || !after) return null;
  const given = { [pathName]: pathFor(tool, pathName, path, conversation), [before]: "", [after]: content };
  return { name: tool.name, arguments: withRequired(tool, given) };
}

function patchWith(tool: OfferedTool, path: string, content: string): ToolCall {
  const lines = content.split("\n").map((line) => `+${line}`);
  const patch = ["*** Begin Patch", `*** Add File: ${path}`, ...lines, "*** End Patch"].join("\n");
  if (tool.freeForm) return { name: tool.name, arguments: patch };
  return { name: tool.name, arguments: withRequired(tool, { [propertyOf(tool, ["input", "patch", "patchText"]) ?? "input"]: patch }) };
}

/** The call that runs `command` with whatever shell tool the client offers; null when it offers none. */
export function runCall(conversation: Conversation, command: string): ToolCall | null {
  const tool = toolNamed(conversation.tools, shells);
  if (!tool) return null;
  const name = propertyOf(tool, ["command", "cmd", "script"]) ?? "command";
  const wantsList = asObject(asObject(tool.schema.properties)[name]).type === "array";
  return { name: tool.name, arguments: withRequired(tool, { [name]: wantsList ? ["bash", "-lc", command] : command }) };
}

/** The call that writes a file: by a tool that writes, else by the shell, else by an edit or a patch; null when there is none. */
export function writeCall(conversation: Conversation, path: string, content: string): ToolCall | null {
  const writer = toolNamed(conversation.tools, writers);
  const written = writer && writeWith(writer, path, content, conversation);
  if (written) return written;
  const folder = dirname(path) === "." ? "" : `mkdir -p ${quoted(dirname(path))} && `;
  const run = runCall(conversation, `${folder}printf '%s' ${quoted(content)} > ${quoted(path)}`);
  if (run) return run;
  const editor = toolNamed(conversation.tools, ["edit", "replace", "str_replace"]);
  const edited = editor && editWith(editor, path, content, conversation);
  if (edited) return edited;
  const patcher = toolNamed(conversation.tools, ["apply_patch"]);
  return patcher ? patchWith(patcher, path, content) : null;
}

/** The call that reads a file with the client's own tool, or with its shell. */
export function readCall(conversation: Conversation, path: string): ToolCall | null {
  const tool = toolNamed(conversation.tools, ["read", "read_file", "view"]);
  const name = tool && propertyOf(tool, pathNames);
  if (!tool || !name) return runCall(conversation, `cat ${quoted(path)}`);
  return { name: tool.name, arguments: withRequired(tool, { [name]: pathFor(tool, name, path, conversation) }) };
}
