import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { outputInstructions, readOutput, repairPrompt, schemaFault, type Output } from "./output.ts";

const any = {};
const part = { type: "object", required: ["title"], properties: { title: { type: "string" } }, additionalProperties: false };
const plan = { type: "object", required: ["parts"], properties: { parts: { type: "array", items: part } }, additionalProperties: false };

const valueOf = (output: Output): unknown => (output.ok ? output.value : assert.fail(output.problems.join("; ")));
const problemsOf = (output: Output): string =>
  output.ok ? assert.fail(`it was accepted: ${JSON.stringify(output.value)}`) : output.problems.join("; ");

/** JSON without the key that is refused and without -0, which JSON cannot write. */
const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value).replaceAll("__proto__", "proto")) as unknown);
const container = json.map((value) => ({ first: value, second: [value, "end"] }));

test("an answer that is JSON is the value itself, with nothing repaired", () => {
  fc.assert(
    fc.property(json, fc.boolean(), (value, wide) => {
      const output = readOutput(JSON.stringify(value, null, wide ? 2 : 0), any);
      assert.deepEqual(output, { ok: true, value, repaired: [] });
    }),
  );
});

test("the value survives prose, a fence, or both around it", () => {
  fc.assert(
    fc.property(container, fc.boolean(), (value, wide) => {
      const text = JSON.stringify(value, null, wide ? 2 : 0);
      for (const answer of [
        `\`\`\`json\n${text}\n\`\`\``,
        `Done.\n\n\`\`\`\n${text}\n\`\`\`\nBye.`,
        `Here it is: ${text} - all tests pass.`,
      ]) {
        assert.deepEqual(readOutput(answer, any), { ok: true, value, repaired: [] });
      }
    }),
  );
});

/** JSON with recoverable mistakes: as a model writes it, not as a parser wants it. */
function damage(value: unknown, dice: () => number): string {
  const maybe = (text: string): string => (dice() === 0 ? text : "");
  const space = (): string => ["", " ", "\n", " // a note\n", "/* why */"][dice()] ?? "";
  if (Array.isArray(value)) {
    const items = value.map((item) => space() + damage(item, dice) + space());
    return `[${items.join(",")}${items.length > 0 ? maybe(",") : ""}${space()}]`;
  }
  if (typeof value === "object" && value !== null) {
    const items = Object.entries(value).map(
      ([key, item]) => `${space()}${damageKey(key, dice)}${space()}:${space()}${damage(item, dice)}${space()}`,
    );
    return `{${items.join(",")}${items.length > 0 ? maybe(",") : ""}${space()}}`;
  }
  if (typeof value === "string") return damageText(value, dice);
  const python = { true: "True", false: "False", null: "None" }[String(value)];
  return python !== undefined && dice() === 0 ? python : JSON.stringify(value);
}

const damageKey = (key: string, dice: () => number): string =>
  /^[A-Za-z_$][\w$-]*$/.test(key) && dice() === 0 ? key : damageText(key, dice);

function damageText(text: string, dice: () => number): string {
  const plain = JSON.stringify(text);
  if (dice() === 0) return `'${plain.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
  return dice() === 0 ? plain.replaceAll(/\\\\|\\n/g, (found) => (found === "\\n" ? "\n" : found)) : plain;
}

test("recoverable mistakes are mended without any change of the value, each by name", () => {
  fc.assert(
    fc.property(container, fc.array(fc.nat(5), { minLength: 20, maxLength: 60 }), (value, rolls) => {
      let roll = 0;
      const text = damage(value, () => rolls[roll++ % rolls.length] ?? 1);
      const output = readOutput(text, any);
      assert.deepEqual(valueOf(output), value, text);
      let strict: unknown = undefined;
      try {
        strict = JSON.parse(text);
      } catch (error) {
        assert.ok(error instanceof SyntaxError);
      }
      assert.equal(output.ok && output.repaired.length === 0, strict !== undefined, text);
    }),
    { numRuns: 300 },
  );
});

test("each mistake is named with its line", () => {
  const mistakes: [string, string][] = [
    ["[1,\n2,]", "a comma too many (line 2)"],
    ["{'a': 1}", "single quotes (line 1)"],
    ['{\n\na: "x"}', "a key without quotes (line 3)"],
    ["[1 // one\n]", "a comment (line 1)"],
    ["[True]", "True for true (line 1)"],
    ['["a\nb"]', "a line break in a text (line 1)"],
    ['["a\tb"]', "a tab in a text (line 1)"],
    ['{"parts": [{"title": "a"}', "the closing brackets at the end (line 1)"],
  ];
  for (const [text, name] of mistakes)
    assert.deepEqual(readOutput(text, any).ok && (readOutput(text, any) as { repaired: string[] }).repaired, [name]);
});

test("a cut answer is closed only where brackets alone are missing and the schema still fits", () => {
  assert.deepEqual(valueOf(readOutput('{"parts": [{"title": "a"}', plan)), { parts: [{ title: "a" }] });
  assert.deepEqual(valueOf(readOutput('Sure: {"parts": [{"title": "a"},', plan)), { parts: [{ title: "a" }] });
  assert.deepEqual(valueOf(readOutput('```json\n{"parts": [{"title": "a"}]', plan)), { parts: [{ title: "a" }] });
  assert.match(problemsOf(readOutput('{"parts": [{"title": "a"}, {}', plan)), /cut off before its end.*required/);
  for (const cut of ['{"parts": [{"title": "a"}, {"ti', '{"parts": [{"title": "a"}, {"title', '{"parts": [{"title": "a"}, {"title": "b']) {
    assert.match(problemsOf(readOutput(cut, plan)), /cut off/);
    assert.match(problemsOf(readOutput(`Here: ${cut}`, any)), /cut off/, "a part of it must not be taken for the whole");
    assert.match(problemsOf(readOutput(`\`\`\`json\n${cut}`, any)), /cut off/);
  }
  for (const cut of [
    '{"a": 1, "b": 12',
    '{"a": 1, "b": tru',
    '{"a": 1, "b":',
    '{"a": 1, b',
    '{"a": 1, "b": "\\u12',
    '{"a": 1, "b": "x\\',
  ]) {
    assert.match(problemsOf(readOutput(cut, any)), /cut off/, cut);
  }
});

test("a value cut at any place is whole, cut off by name, or refused: never another value with fewer keys", () => {
  const whole = { title: "first", parts: [{ title: "a", size: 12, done: true }, { title: "b" }], note: null };
  const text = JSON.stringify(whole);
  for (let end = 1; end < text.length; end += 1) {
    const output = readOutput(text.slice(0, end), any);
    if (output.ok) assert.deepEqual(output.repaired.length, 1, text.slice(0, end));
    if (output.ok) assert.ok(text.startsWith(JSON.stringify(output.value).replace(/[\]}]+$/, "")), text.slice(0, end));
  }
});

test("the last JSON block wins, and a broken last block is not replaced by an earlier draft", () => {
  const draft = '```json\n{"parts": [{"title": "draft"}]}\n```\n';
  assert.deepEqual(valueOf(readOutput(`${draft}Better:\n\`\`\`json\n{"parts": []}\n\`\`\``, plan)), { parts: [] });
  assert.match(
    problemsOf(readOutput(`${draft}Better:\n\`\`\`json\n{"parts": [{"title": "a" "b"}]}\n\`\`\``, plan)),
    /last JSON block cannot be read/,
  );
  assert.match(problemsOf(readOutput(`${draft}Better:\n\`\`\`json\n{"parts": 1}\n\`\`\``, plan)), /\/parts must be array/);
  assert.deepEqual(valueOf(readOutput(`${draft}Then run:\n\`\`\`sh\nnpm test\n\`\`\``, plan)), { parts: [{ title: "draft" }] });
  assert.deepEqual(valueOf(readOutput(`${draft}It printed:\n\`\`\`text\n42\n\`\`\``, plan)), { parts: [{ title: "draft" }] });
});

test("brackets in prose are passed over until a value fits; a broken value is not replaced by one of its parts", () => {
  assert.deepEqual(valueOf(readOutput('See [1], {this} and [2, 3 or 4]: {"parts": []}', plan)), { parts: [] });
  assert.deepEqual(valueOf(readOutput('function f() { return {"parts": []}; }', plan)), { parts: [] });
  assert.match(problemsOf(readOutput('Here: {"parts": [{"title": "a"} {"title": "b"}]}', { type: "object" })), /"," or "\]" is missing/);
  assert.match(problemsOf(readOutput("I could not do it, see [1].", plan)), /must be object/);
  assert.match(problemsOf(readOutput("I could not do it.", plan)), /no JSON/);
  assert.match(problemsOf(readOutput("", plan)), /no JSON/);
});

test("nothing is coerced, filled in or dropped to make an answer fit", () => {
  assert.match(problemsOf(readOutput('{"parts": []}', { ...plan, required: ["parts", "title"] })), /must have required property 'title'/);
  assert.match(problemsOf(readOutput('{"parts": [], "more": 1}', plan)), /must not have the property "more"/);
  assert.match(problemsOf(readOutput('{"n": "3"}', { properties: { n: { type: "integer", default: 1 } } })), /\/n must be integer/);
  assert.deepEqual(valueOf(readOutput("{}", { properties: { n: { type: "integer", default: 1 } } })), {});
  assert.match(problemsOf(readOutput('{"a": 1, "a": 2}', any)), /"a" is given twice/);
  assert.match(problemsOf(readOutput('{"b": 1, "a": 12345678901234567891}', any)), /too large to be kept exactly/);
  assert.match(problemsOf(readOutput('{"a": 1, "b": 1e999}', any)), /too large/);
  assert.match(problemsOf(readOutput('{"x": "b"}', { properties: { x: { enum: ["a"] } } })), /\/x must be one of \["a"\]/);
  assert.match(problemsOf(readOutput('{"x": "b"}', { properties: { x: { const: "a" } } })), /\/x must be "a"/);
});

test("what is not written as JSON is refused, whatever it might mean", () => {
  const refused = [
    "[01]",
    "[1.]",
    "[+1]",
    "[NaN]",
    "[hello]",
    '["a\\qb"]',
    '["a\u0001b"]',
    "{1: 2}",
    '{"a" 1}',
    '{"__proto__": {}}',
    "[,]",
    `${"[".repeat(300)}1`,
  ];
  for (const text of refused) assert.ok(!readOutput(text, { type: ["array", "object"], minItems: 1, minProperties: 1 }).ok, text);
  assert.match(problemsOf(readOutput('{"a": 1, "__proto__": {"admin": true}}', any)), /"__proto__" is not allowed/);
  for (const text of ["[", "{", "see [", '{"a": ['])
    assert.ok(!readOutput(text, any).ok, `nothing was read, so nothing is closed: ${text}`);
  assert.equal(Object.getPrototypeOf(valueOf(readOutput('{"constructor": 1}', any))), Object.prototype);
});

test("hostile answers cost little: brackets without end, quotes without end, a huge text", () => {
  const start = performance.now();
  for (const text of [
    "[".repeat(200_000),
    "['".repeat(100_000),
    "{a".repeat(100_000),
    "[//".repeat(60_000),
    "\n[x".repeat(60_000),
    "[1,".repeat(60_000),
  ]) {
    assert.ok(!readOutput(text, plan).ok);
  }
  assert.match(problemsOf(readOutput("x".repeat(4_000_001), any)), /longer than/);
  assert.ok(performance.now() - start < 15_000, `${performance.now() - start} ms`);
});

test("bytes of any kind give an answer, never an error", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => void readOutput(text, plan)));
  const pieces = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    ",",
    ":",
    "a",
    "1",
    "\\",
    "\n",
    "```",
    "//",
    "/*",
    "*/",
    "true",
    "\\u00e9",
    " ",
  );
  fc.assert(fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => void readOutput(parts.join(""), any)));
});

test("problems are listed once each and not without end", () => {
  const output = readOutput(JSON.stringify({ parts: Array.from({ length: 50 }, () => ({})) }), plan);
  assert.ok(!output.ok);
  assert.equal(output.problems.length, 21);
  assert.equal(output.problems.at(-1), "and 30 more");
});

test("a schema that is wrong is named with its place", () => {
  assert.equal(schemaFault(plan), null);
  assert.equal(schemaFault({ $schema: "https://json-schema.org/draft/2020-12/schema", prefixItems: [{ type: "string" }] }), null);
  assert.deepEqual(schemaFault({ properties: { "a/b": { type: "strin" } } })?.path, ["properties", "a/b", "type"]);
  assert.match(schemaFault({ $ref: "https://example.com/schema.json" })?.fault ?? "", /can't resolve reference/);
  assert.match(schemaFault({ $async: true })?.fault ?? "", /not available/);
  assert.match(problemsOf(readOutput("1", { type: "strin" })), /schema itself is wrong/);
  const id = { $id: "https://example.com/a", type: "string" };
  assert.equal(schemaFault(id), null);
  assert.equal(schemaFault({ ...id, type: "number" }), null, "two schemas with one $id do not meet");
});

test("patterns that could run for ever are refused, and no pattern meets a long text", () => {
  for (const pattern of ["^(a+)+$", "(a|a)*b", "(?:x{1,3})+", "((a*)b)*", "(a?a?)+"])
    assert.match(schemaFault({ pattern })?.fault ?? "", /for ever/, pattern);
  for (const pattern of ["^[a-z]+(-\\d+)?$", "^(?:feat|fix): .+$", "\\(+", "[(+]+", "^v\\d{1,3}$"])
    assert.equal(schemaFault({ pattern }), null, pattern);
  assert.deepEqual(valueOf(readOutput('"abc"', { pattern: "^a" })), "abc");
  assert.match(problemsOf(readOutput('"xyz"', { pattern: "^a" })), /must match pattern/);
  assert.match(problemsOf(readOutput(JSON.stringify("a".repeat(2_001)), { pattern: "^a" })), /too long for the pattern/);
});

test("what an agent is told contains the schema, and every problem", () => {
  assert.match(outputInstructions(plan), /```json\n\{\n {2}"type": "object"/);
  assert.match(repairPrompt(["a is missing", "b is wrong"]), /- a is missing\n- b is wrong\n/);
});
