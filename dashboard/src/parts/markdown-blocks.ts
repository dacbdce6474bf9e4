/** Limits for text that nobody has bounded: what is longer or deeper is shown as plain text, not parsed. */
export const textLimit = 200_000;
const blockLimit = 16_000;
const depthLimit = 12;
const leastBlock = 1_000;

export interface Block {
  text: string;
  /** Too long or too deeply nested to be parsed as Markdown. */
  plain: boolean;
}

/**
 * Cuts Markdown at blank lines that end a top-level block, so that a growing answer parses only its last block again and one huge
 * block cannot hold the page. Blocks shorter than `least` characters stay together: each piece costs a parser. A fence that is still open keeps its block together (CommonMark closes it at the end of the text).
 */
export function markdownBlocks(text: string, least = leastBlock): Block[] {
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence: string | undefined;
  let blank = false;
  let list = false;
  let length = 0;
  for (const line of text.slice(0, textLimit).split("\n")) {
    // A line in the first column starts something new; an indented one, or one more item, may belong to the list above.
    if (fence === undefined && blank && length >= least && /^\S/.test(line) && !(list && isItem(line))) {
      blocks.push(lines.join("\n"));
      lines = [];
      list = false;
      length = 0;
    }
    if (fence === undefined && isItem(line)) list = true;
    lines.push(line);
    length += line.length + 1;
    const mark = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line);
    if (fence === undefined) fence = mark?.[1];
    else if (mark?.[1]?.startsWith(fence) === true && mark[2]?.trim() === "") fence = undefined;
    blank = line.trim() === "";
  }
  blocks.push(lines.join("\n"));
  return blocks
    .filter((block) => block.trim() !== "")
    .map((block) => ({ text: block, plain: block.length > blockLimit || tooDeep(block) }));
}

const isItem = (line: string): boolean => /^\s*([-*+]|\d{1,9}[.)])(\s|$)/.test(line);

/** Containers nest by their markers at the start of a line; emphasis and brackets by their number in a block. */
function tooDeep(block: string): boolean {
  return (
    block.split("\n").some((line) => containers(line) > depthLimit || /^\s{80}/.test(line)) ||
    (block.match(/[[\]]/g)?.length ?? 0) > 2_000 ||
    (block.match(/[*_]/g)?.length ?? 0) > 4_000
  );
}

function containers(line: string): number {
  const start = /^(?:\s*(?:>|[-*+](?=\s)|\d{1,9}[.)](?=\s)))+/.exec(line)?.[0] ?? "";
  return start.match(/>|[-*+](?=\s|$)|\d{1,9}[.)]/g)?.length ?? 0;
}
