import { endsOperand, isKeyword, tokensOf, type Token } from "./tokens.ts";

/** One small change of a source file: what a slip of the hand does, done backwards. */
export interface Mutation {
  start: number;
  end: number;
  text: string;
  /** 0 for the most usual slips. */
  rank: number;
  /** For people: what becomes what. */
  label: string;
}

/** Operators between two values, with what is easily written in their place; the number is the rank. */
const operators: Record<string, [string, number][]> = {
  "+": [
    ["-", 0],
    ["*", 1],
  ],
  "-": [["+", 0]],
  "*": [
    ["/", 1],
    ["+", 1],
  ],
  "/": [["*", 1]],
  "%": [
    ["/", 3],
    ["*", 3],
  ],
  "+=": [
    ["-=", 0],
    ["*=", 3],
  ],
  "-=": [["+=", 0]],
  "*=": [
    ["/=", 1],
    ["+=", 2],
  ],
  "/=": [["*=", 1]],
  "<": [
    ["<=", 0],
    [">", 2],
  ],
  "<=": [
    ["<", 0],
    [">=", 2],
  ],
  ">": [
    [">=", 0],
    ["<", 2],
  ],
  ">=": [
    [">", 0],
    ["<=", 2],
  ],
  "===": [["!==", 0]],
  "!==": [["===", 0]],
  "==": [["!=", 0]],
  "!=": [["==", 0]],
  "&&": [["||", 0]],
  "||": [
    ["&&", 0],
    ["??", 3],
  ],
  "??": [["||", 3]],
};

/** Methods that are taken for each other. */
const pairs: [string, string][] = [
  ["min", "max"],
  ["floor", "ceil"],
  ["ceil", "round"],
  ["floor", "round"],
  ["push", "unshift"],
  ["pop", "shift"],
  ["some", "every"],
  ["startsWith", "endsWith"],
  ["toUpperCase", "toLowerCase"],
  ["indexOf", "lastIndexOf"],
  ["trimStart", "trimEnd"],
  ["padStart", "padEnd"],
  ["keys", "values"],
];

/** Every change that is tried for a file, in the order of the text. */
export function mutationsOf(source: string): Mutation[] {
  const tokens = tokensOf(source);
  return tokens.flatMap((token, index) => [
    ...operatorMutations(tokens, index),
    ...wordMutations(tokens, index),
    ...numberMutations(token),
    ...swaps(source, tokens, index),
    ...missingReturn(tokens, index),
  ]);
}

const replace = ({ start, end, text }: Token, by: string, rank: number): Mutation => ({
  start,
  end,
  text: by,
  rank,
  label: `\`${text}\` to \`${by}\``,
});

function operatorMutations(tokens: Token[], index: number): Mutation[] {
  const token = tokens[index];
  if (token?.kind !== "punctuation") return [];
  const isBetween = endsOperand(tokens[index - 1]);
  if (isBetween && Object.hasOwn(operators, token.text)) return (operators[token.text] ?? []).map(([by, rank]) => replace(token, by, rank));
  if (token.text === "++") return [replace(token, "--", 4)];
  if (token.text === "--") return [replace(token, "++", 4)];
  if (!isBetween && (token.text === "!" || token.text === "-"))
    return [{ ...replace(token, "", 3), label: `\`${token.text}\` to nothing` }];
  return [];
}

function wordMutations(tokens: Token[], index: number): Mutation[] {
  const token = tokens[index];
  if (token?.kind !== "name") return [];
  const isMember = tokens[index - 1]?.text === "." || tokens[index - 1]?.text === "?.";
  if (isMember)
    return pairs.flatMap(([a, b]) => (token.text === a ? [replace(token, b, 1)] : token.text === b ? [replace(token, a, 1)] : []));
  if (token.text === "true") return [replace(token, "false", 0)];
  if (token.text === "false") return [replace(token, "true", 0)];
  return [];
}

function numberMutations(token: Token): Mutation[] {
  const value = Number(token.text);
  if (token.kind !== "number" || !/^\d+$/.test(token.text) || !Number.isSafeInteger(value)) return [];
  const down = value === 0 ? "(-1)" : String(value - 1);
  return [replace(token, String(value + 1), 1), replace(token, down, 1)];
}

/** `f(a, b)` with two plain arguments, and `a - b` between two plain values, the other way round. */
function swaps(source: string, tokens: Token[], index: number): Mutation[] {
  const token = tokens[index];
  if (!token) return [];
  const exchange = (first: Span, second: Span, rank: number): Mutation => {
    const between = source.slice(first.end, second.start);
    const [a, b] = [source.slice(first.start, first.end), source.slice(second.start, second.end)];
    return {
      start: first.start,
      end: second.end,
      text: `${b}${between}${a}`,
      rank,
      label: `\`${a}${between}${b}\` to \`${b}${between}${a}\``,
    };
  };
  if (
    token.text === "(" &&
    tokens[index - 1]?.kind === "name" &&
    !isKeyword(tokens[index - 1]?.text ?? "") &&
    tokens[index - 2]?.text !== "function"
  ) {
    const first = plainValue(tokens, index + 1);
    const second = first && tokens[first.next]?.text === "," ? plainValue(tokens, first.next + 1) : null;
    // A list of parameters is followed by a body; exchanging those is exchanging the arguments of every caller.
    if (first && second && tokens[second.next]?.text === ")" && tokens[second.next + 1]?.text !== "{") return [exchange(first, second, 2)];
  }
  if ((token.text === "-" || token.text === "/") && endsOperand(tokens[index - 1])) {
    const first = plainValueBefore(tokens, index - 1);
    const second = plainValue(tokens, index + 1);
    if (first && second) return [exchange(first, second, 2)];
  }
  return [];
}

interface Span {
  start: number;
  end: number;
}

/** A name, number or text, or names joined by dots. `next` is the index of the token behind it. */
function plainValue(tokens: Token[], index: number): (Span & { next: number }) | null {
  const first = tokens[index];
  if (!first || first.kind === "punctuation" || isKeyword(first.text)) return null;
  let last = index;
  while (tokens[last + 1]?.text === "." && tokens[last + 2]?.kind === "name") last += 2;
  if (["(", "[", "=>", "?."].includes(tokens[last + 1]?.text ?? "")) return null;
  return { start: first.start, end: tokens[last]?.end ?? first.end, next: last + 1 };
}

function plainValueBefore(tokens: Token[], index: number): Span | null {
  const last = tokens[index];
  if (!last || last.kind === "punctuation") return null;
  let first = index;
  while (tokens[first - 1]?.text === "." && tokens[first - 2]?.kind === "name") first -= 2;
  return { start: tokens[first]?.start ?? last.start, end: last.end };
}

const statementWords = new Set(
  "return throw if else for while do switch case const let var function class break continue try import export default".split(" "),
);

/** The last statement of a block that gives a value to nobody. */
function missingReturn(tokens: Token[], index: number): Mutation[] {
  if (tokens[index]?.text !== "}") return [];
  let from = index - 1;
  if (tokens[from]?.text === ";") from -= 1;
  let depth = 0;
  while (from > 0 && (depth > 0 || !["{", "}", ";"].includes(tokens[from]?.text ?? ""))) {
    if ([")", "]", "}"].includes(tokens[from]?.text ?? "")) depth += 1;
    if (["(", "[", "{"].includes(tokens[from]?.text ?? "")) depth -= 1;
    if (depth < 0) return [];
    from -= 1;
  }
  const first = tokens[from + 1];
  const opens = tokens[from]?.text === "{" && !["=>", ")"].includes(tokens[from - 1]?.text ?? "");
  if (!first || from + 1 >= index || opens || statementWords.has(first.text)) return [];
  return [{ start: first.start, end: first.start, text: "return ", rank: 3, label: `\`${first.text}\` to \`return ${first.text}\`` }];
}
