export interface Token {
  kind: "name" | "number" | "punctuation" | "text";
  text: string;
  start: number;
  end: number;
}

const punctuation =
  />>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.|\+\+|--|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|<<|>>|\*\*|[\s\S]/y;
const name = /[A-Za-z_$][\w$]*/y;
const number = /0[xXoObB][\da-fA-F_]+n?|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?n?/y;
const space = /\s+|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;
const quoted = /"(?:[^"\\\n]|\\[\s\S])*"?|'(?:[^'\\\n]|\\[\s\S])*'?/y;
const regex = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const template = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y;

/**
 * JavaScript cut into its pieces, without comments; texts, templates and regular expressions are one piece each (code inside
 * `${}` is not looked into). Good enough to find operators that are really operators; nothing is ever run from it.
 */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0] ?? null;
  };
  const push = (kind: Token["kind"], text: string): void => {
    tokens.push({ kind, text, start: at, end: at + text.length });
    at += text.length;
  };
  while (at < source.length) {
    const blank = take(space);
    if (blank) at += blank.length;
    else if (source[at] === "`") push("text", source.slice(at, endOfTemplate(source, at)));
    else if (source[at] === '"' || source[at] === "'") push("text", take(quoted) ?? source.charAt(at));
    else if (source[at] === "/" && !endsOperand(tokens.at(-1)) && take(regex)) push("text", take(regex) ?? "/");
    else if (take(name)) push("name", take(name) ?? "");
    else if (take(number)) push("number", take(number) ?? "");
    else push("punctuation", take(punctuation) ?? source.charAt(at));
  }
  return tokens;
}

function endOfTemplate(source: string, start: number): number {
  let at = start + 1;
  while (at < source.length) {
    template.lastIndex = at;
    at += template.exec(source)?.[0].length ?? 0;
    if (source[at] !== "$") return Math.min(source.length, at + 1);
    at = endOfBraces(source, at + 2);
  }
  return source.length;
}

function endOfBraces(source: string, start: number): number {
  let depth = 1;
  let at = start;
  while (at < source.length && depth > 0) {
    const letter = source[at];
    if (letter === "`") {
      at = endOfTemplate(source, at);
      continue;
    }
    if (letter === "{") depth += 1;
    if (letter === "}") depth -= 1;
    at += 1;
  }
  return at;
}

const keywords = new Set(
  "return typeof case in of new delete void throw else do await yield instanceof if while for switch const let var import export default".split(
    " ",
  ),
);

export const isKeyword = (text: string): boolean => keywords.has(text);

/** Whether a value ends here, so that what follows can be an operator between two values. */
export function endsOperand(token: Token | undefined): boolean {
  if (!token) return false;
  if (token.kind === "name") return !isKeyword(token.text);
  if (token.kind === "punctuation") return token.text === ")" || token.text === "]" || token.text === "}";
  return true;
}
