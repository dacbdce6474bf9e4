/**
 * A reader of JSON as models write it. It mends mistakes of form that leave no doubt about the value (comments, trailing
 * commas, single quotes, bare keys, line breaks in texts, True/False/None, missing closing brackets) and names each. All else
 * is an error: above all a text, number or key that is cut in the middle, and a key that is given twice.
 */
const maxDepth = 200;

export interface Reading {
  value: unknown;
  /** What was mended, with its line. */
  repaired: string[];
  /** The text ended before the value did; the brackets were closed. */
  isCut: boolean;
  /** Where the value ends. */
  end: number;
}

export class NotJson extends Error {
  /** Where reading stopped. */
  readonly end: number;
  /** The text ended in the middle of a value. */
  readonly isCut: boolean;
  /** How many members of lists and objects were read before: more than none means that it was meant as JSON. */
  readonly members: number;
  constructor(message: string, at: { end: number; isCut: boolean; members: number }) {
    super(message);
    this.end = at.end;
    this.isCut = at.isCut;
    this.members = at.members;
  }
}

/** Reads the value that begins at `start` (white space and comments may come before it). `toEnd`: nothing else may follow. */
export function readJson(text: string, start: number, { toEnd }: { toEnd: boolean }): Reading | NotJson {
  const reader = new JsonReader(text, start);
  try {
    return reader.read(toEnd);
  } catch (error) {
    if (error instanceof NotJson) return error;
    throw error;
  }
}

/** Of JSON, and those that editors and models put in. */
const spaces = new Set([" ", "\n", "\r", "\t", "\f", "\v", "\u00a0", "\u2028", "\u2029", "\ufeff"]);
const escapes: Record<string, string> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const words: Record<string, { value: unknown; fault: string | null }> = {
  true: { value: true, fault: null },
  false: { value: false, fault: null },
  null: { value: null, fault: null },
  True: { value: true, fault: "True for true" },
  False: { value: false, fault: "False for false" },
  None: { value: null, fault: "None for null" },
};

class JsonReader {
  readonly #text: string;
  #at: number;
  #members = 0;
  #isCut = false;
  readonly #start: number;
  readonly #mended: { what: string; at: number }[] = [];

  constructor(text: string, start: number) {
    this.#text = text;
    this.#start = start;
    this.#at = start;
  }

  read(toEnd: boolean): Reading {
    const value = this.#value(0);
    const end = this.#at;
    if (toEnd) {
      this.#skip();
      if (this.#at < this.#text.length) throw this.#error("there is more text after the value");
    }
    const repaired = new Set(this.#mended.map(({ what, at }) => `${what} (line ${this.#lineOf(at)})`));
    return { value, repaired: [...repaired], isCut: this.#isCut, end };
  }

  #value(depth: number): unknown {
    this.#skip();
    const char = this.#text[this.#at];
    if (depth > maxDepth) throw this.#error(`it is nested deeper than ${maxDepth}`);
    if (char === undefined) throw this.#cut("a value");
    if (char === "{") return this.#object(depth);
    if (char === "[") return this.#list(depth);
    if (char === '"' || char === "'") return this.#quoted(char);
    if (char === "-" || (char >= "0" && char <= "9")) return this.#number(depth);
    return this.#word(depth);
  }

  #object(depth: number): unknown {
    const object: Record<string, unknown> = {};
    this.#at += 1;
    for (;;) {
      if (this.#ends("}")) return object;
      const key = this.#key();
      this.#skip();
      if (this.#at >= this.#text.length) throw this.#cut("an object");
      if (this.#text[this.#at] !== ":") throw this.#error(`":" is missing after the key ${JSON.stringify(key)}`);
      this.#at += 1;
      if (key === "__proto__") throw this.#error('the key "__proto__" is not allowed');
      if (Object.hasOwn(object, key)) throw this.#error(`the key ${JSON.stringify(key)} is given twice`);
      object[key] = this.#value(depth + 1);
      this.#members += 1;
      if (this.#separates("}")) return object;
    }
  }

  #list(depth: number): unknown {
    const list: unknown[] = [];
    this.#at += 1;
    for (;;) {
      if (this.#ends("]")) return list;
      list.push(this.#value(depth + 1));
      this.#members += 1;
      if (this.#separates("]")) return list;
    }
  }

  /** Before a member: whether the list or object ends here, after its last comma or without any member. */
  #ends(bracket: string): boolean {
    this.#skip();
    const char = this.#text[this.#at];
    if (char === bracket) {
      this.#at += 1;
      return true;
    }
    return char === undefined && this.#closeAtEnd();
  }

  /** After a member: whether the list or object ends here; else there was a comma. */
  #separates(bracket: string): boolean {
    this.#skip();
    const char = this.#text[this.#at];
    if (char === undefined) return this.#closeAtEnd();
    const at = this.#at;
    this.#at += 1;
    if (char === bracket) return true;
    if (char !== ",") {
      this.#at = at;
      throw this.#error(`"," or "${bracket}" is missing`);
    }
    this.#skip();
    if (this.#text[this.#at] === bracket) this.#mend("a comma too many", at);
    return false;
  }

  /** Only brackets are missing: what was read is whole. Something empty says too little to be closed. */
  #closeAtEnd(): boolean {
    if (this.#members === 0) throw this.#cut("a value");
    if (!this.#isCut) this.#mend("the closing brackets at the end", this.#at);
    this.#isCut = true;
    return true;
  }

  #key(): string {
    const char = this.#text[this.#at] ?? "";
    if (char === '"' || char === "'") return this.#quoted(char);
    const bare = this.#match(/[A-Za-z_$][\w$-]*/y);
    if (bare === null) throw this.#error("a key is missing");
    if (this.#at + bare.length >= this.#text.length) throw this.#cut("a key");
    this.#mend("a key without quotes", this.#at);
    this.#at += bare.length;
    return bare;
  }

  #quoted(quote: string): string {
    const start = this.#at;
    if (quote === "'") this.#mend("single quotes", start);
    let value = "";
    let from = start + 1;
    for (let at = from; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (this.#text[at] === quote) {
        this.#at = at + 1;
        return value + this.#text.slice(from, at);
      }
      if (code < 0x20) this.#breakInText(at, code);
      if (code !== 0x5c) continue;
      const [plain, length] = this.#escape(at);
      value += this.#text.slice(from, at) + plain;
      at += length - 1;
      from = at + 1;
    }
    this.#at = this.#text.length;
    throw this.#cut("a text");
  }

  #breakInText(at: number, code: number): void {
    if (code !== 0x0a && code !== 0x0d && code !== 0x09) throw this.#error("there is a control character in a text", at);
    this.#mend(code === 0x09 ? "a tab in a text" : "a line break in a text", at);
  }

  /** The character that an escape stands for, and the escape's length. */
  #escape(at: number): [string, number] {
    const char = this.#text[at + 1];
    if (char === "u") {
      const hex = /^[0-9a-fA-F]{4}$/.test(this.#text.slice(at + 2, at + 6)) ? this.#text.slice(at + 2, at + 6) : null;
      if (hex !== null) return [String.fromCharCode(Number.parseInt(hex, 16)), 6];
    }
    if (char === undefined || (char === "u" && at + 6 > this.#text.length)) {
      this.#at = this.#text.length;
      throw this.#cut("a text");
    }
    if (char === "'") {
      this.#mend("an escaped single quote", at);
      return ["'", 2];
    }
    const plain = escapes[char];
    if (plain === undefined) throw this.#error(`"\\${char}" in a text means nothing`, at);
    return [plain, 2];
  }

  #number(depth: number): number {
    const token = this.#match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    const end = this.#at + (token?.length ?? 1);
    // The last digits may be missing.
    if (depth > 0 && end >= this.#text.length) throw this.#cut("a number");
    if (token === null || /[\w.+-]/.test(this.#text[end] ?? "")) throw this.#error("a number is not written as one");
    const value = Number(token);
    const isWhole = /^-?\d+$/.test(token);
    if (!Number.isFinite(value) || (isWhole && !Number.isSafeInteger(value) && String(value) !== token)) {
      throw this.#error(`the number ${token.slice(0, 40)} is too large to be kept exactly`);
    }
    this.#at = end;
    return value;
  }

  #word(depth: number): unknown {
    const token = this.#match(/[A-Za-z_]\w*/y) ?? "";
    const word = Object.hasOwn(words, token) ? words[token] : undefined;
    if (word === undefined) {
      const isCut = depth > 0 && token !== "" && this.#at + token.length >= this.#text.length;
      throw isCut ? this.#cut("a word") : this.#error("a value is missing or is text without quotes");
    }
    if (word.fault !== null) this.#mend(word.fault, this.#at);
    this.#at += token.length;
    return word.value;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? null;
  }

  #skip(): void {
    for (;;) {
      while (spaces.has(this.#text[this.#at] ?? "")) this.#at += 1;
      if (this.#text[this.#at] !== "/") return;
      const isLine = this.#text.startsWith("//", this.#at);
      if (!isLine && !this.#text.startsWith("/*", this.#at)) return;
      this.#mend("a comment", this.#at);
      const end = this.#text.indexOf(isLine ? "\n" : "*/", this.#at + 2);
      this.#at = end === -1 ? this.#text.length : end + (isLine ? 1 : 2);
    }
  }

  #mend(what: string, at: number): void {
    this.#mended.push({ what, at });
  }

  #lastLine = { at: 0, line: 1 };
  #lineOf(at: number): number {
    const { at: known, line } = at < this.#lastLine.at ? { at: 0, line: 1 } : this.#lastLine;
    let breaks = 0;
    for (let next = this.#text.indexOf("\n", known); next !== -1 && next < at; next = this.#text.indexOf("\n", next + 1)) breaks += 1;
    this.#lastLine = { at, line: line + breaks };
    return line + breaks;
  }

  #error(message: string, at = this.#at): NotJson {
    // Within prose every bracket is tried; counting the lines before each would cost the square of the text.
    const isTrial = this.#start > 0 && this.#members === 0;
    const place = isTrial ? "" : ` (line ${this.#lineOf(at)})`;
    return new NotJson(`${message}${place}`, { end: at, isCut: false, members: this.#members });
  }

  #cut(inside: string): NotJson {
    return new NotJson(`it is cut off in the middle of ${inside}`, { end: this.#text.length, isCut: true, members: this.#members });
  }
}
