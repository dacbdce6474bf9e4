import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AppError } from "../errors.ts";
import { evaluate, evaluateCondition, evaluateText, evaluateValue, isSingle, parseTemplate, references, typeOf } from "./expression.ts";
import type { Template, Value } from "./flow.ts";

const parse = (text: string): Template => {
  const template = parseTemplate(text);
  return Array.isArray(template) ? template : assert.fail(template.error);
};
const fault = (text: string): { error: string; offset: number } => {
  const template = parseTemplate(text);
  return Array.isArray(template) ? assert.fail(`it was accepted: ${text}`) : template;
};
const value = (cel: string, context: Record<string, unknown> = {}): unknown => evaluate(parse(`\${{ ${cel} }}`), context);
const failure = (cel: string, context: Record<string, unknown> = {}): AppError => {
  try {
    const found = evaluate([{ cel }], context);
    return assert.fail(`${cel} gave ${JSON.stringify(found)}`);
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, "invalid_input");
    return error;
  }
};

/** Text from which `parseTemplate` gives the template again. */
const print = (template: Template): string => template.map((part) => (typeof part === "string" ? part : `\${{ ${part.cel} }}`)).join("");

test("a template is its literal text and its expressions, in order", () => {
  assert.deepEqual(parse("a ${{ x }} b ${{y.z}}"), ["a ", { cel: "x" }, " b ", { cel: "y.z" }]);
  assert.deepEqual(parse(""), []);
  assert.deepEqual(parse("no { expression } $ {{ here }}"), ["no { expression } $ {{ here }}"]);
  assert.equal(isSingle(parse("${{ x }}")), true);
  for (const text of ["", "x", " ${{ x }}", "${{ x }}${{ y }}"]) assert.equal(isSingle(parse(text)), false, text);
});

test("an expression ends at its own }}, not at one in a text, a map or a comment", () => {
  const cels = [
    '"}}"',
    "'}}'",
    String.raw`'\'}}'`,
    '{"a": {"b": 1}}',
    '"""}}"""',
    String.raw`r"\"}}"`,
    String.raw`r'''}}'''`,
    '"a" // }}\n',
    String.raw`"\\"`,
    '"${{"',
  ];
  for (const cel of cels) assert.deepEqual(parse(`<\${{ ${cel} }}>`), ["<", { cel: cel.trim() }, ">"], cel);
});

test("parsing what was printed gives the same template", () => {
  const literal = fc
    .string({ unit: fc.constantFrom("a", "$", "{", "}", " ", "'", '"', "\n", "é"), minLength: 1 })
    .filter((text) => !text.includes("${{"));
  const cel = fc.oneof(
    fc.constantFrom("x", "steps.plan.output", 'steps["a-b"].output', '{"a": {"b": [1, 2]}}', "x ? 'yes' : 'no'", "list.map(x, x + 1)"),
    fc.string({ maxLength: 20 }).map((text) => JSON.stringify(text).replaceAll(/\\u(?=[dD][89a-fA-F])/g, "x")),
  );
  const part = fc.oneof(
    literal.map((text) => [text]),
    cel.map((text) => [{ cel: text }]),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const text = print(parts.flat());
      const template = parseTemplate(text);
      // Literals can meet so that they open an expression: "$" and "{{".
      fc.pre(Array.isArray(template));
      assert.deepEqual(parse(print(template as Template)), template);
      assert.equal(print(parse(text)), text);
    }),
  );
});

test("no text makes the parser throw, and an error has a place inside of the text", () => {
  const piece = fc.constantFrom(
    "${{",
    "}}",
    "{",
    "}",
    "'",
    '"',
    "\\",
    "//",
    "\n",
    "a",
    ".",
    "[",
    "]",
    "(",
    ")",
    "1",
    "+",
    " ",
    "?",
    ":",
    "r'",
    "__proto__",
    "matches(",
    "\0",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.array(piece, { maxLength: 15 }).map((parts) => parts.join("")),
      ),
      (text) => {
        const found = parseTemplate(`\${{${text}`);
        if (!Array.isArray(found)) assert.ok(found.offset >= 0 && found.offset <= text.length + 3);
      },
    ),
    { numRuns: 500 },
  );
});

test("a mistake is named with its expression and its place", () => {
  assert.deepEqual(fault("ab ${{ x"), { error: "`${{` is never closed by `}}`", offset: 3 });
  assert.deepEqual(fault("ab ${{ x // }}"), { error: "`${{` is never closed by `}}`", offset: 3 });
  assert.deepEqual(fault("ab ${{  }}"), { error: "there is nothing between `${{` and `}}`", offset: 3 });
  assert.deepEqual(fault("ab ${{ x + }}"), { error: "the expression `x +` is wrong: Unexpected token: EOF", offset: 10 });
  assert.match(fault("${{ 'it }}").error, /'it` is wrong/);
  assert.match(fault("${{ {'a': 1} } }}").error, /is wrong/);
  assert.match(fault("${{ 1 + 'a' }}").error, /no such overload: int \+ string/);
  assert.match(fault(`\${{ ${"x + ".repeat(1001)} x }}`).error, /longer than 4000 characters/);
  assert.match(fault(`\${{ ${"(".repeat(100)}x${")".repeat(100)} }}`).error, /maxDepth/);
});

test("one expression keeps its value's type; in text, lists and maps are JSON", () => {
  const context = { a: { n: 3, list: [1, "x"], map: { b: [true] }, text: "hi", yes: true, none: null } };
  for (const [key, expected] of Object.entries(context.a)) assert.deepEqual(value(`a.${key}`, context), expected);
  assert.equal(
    evaluate(parse("${{ a.text }}: ${{ a.n }} ${{ a.yes }} ${{ a.list }} ${{ a.map }}"), context),
    'hi: 3 true [1,"x"] {"b":[true]}',
  );
  assert.equal(evaluateText(parse("${{ a.map }}"), context), '{"b":[true]}');
  assert.equal(evaluate([], context), "");
});

test("null has no place in a text, and the error names the expression", () => {
  assert.throws(() => evaluate(parse("it is ${{ a.none }}"), { a: { none: null } }), {
    code: "invalid_input",
    message: /`a\.none` has no value/,
  });
  assert.throws(() => evaluateText([{ cel: "a" }], { a: null }), /`a` has no value/);
  assert.equal(value("a == null ? 'none' : a", { a: null }), "none");
});

test("numbers of JSON and of CEL are the same numbers", () => {
  const context = { three: 3, half: 2.5, some: [1, 2.5, 3], big: 2 ** 53 - 1 };
  for (const cel of [
    "three == 3",
    "half == 2.5",
    "three > half",
    "3 in some",
    "2.5 in some",
    "some[0] == 1",
    "some == [1, 2.5, 3]",
    "some.exists(n, n == three)",
  ]) {
    assert.equal(value(cel, context), true, cel);
  }
  const results: [string, unknown][] = [
    ["three + 1", 4],
    ["three + half", 5.5],
    ["half - three", -0.5],
    ["three * half", 7.5],
    ["half / three", 2.5 / 3],
    ["three / half", 1.2],
    ["three / 2", 1],
    ["size(some)", 3],
    ["some.map(n, n * 2)", [2, 5, 6]],
    ["big", 2 ** 53 - 1],
    ["{'n': three, 'l': [three]}", { n: 3, l: [3] }],
    ["int('12') + three", 15],
  ];
  for (const [cel, expected] of results) assert.deepEqual(value(cel, context), expected, cel);
  assert.match(failure("big * 2", context).message, /too large for a number/);
  assert.match(failure("1.0 / 0.0").message, /no number/);
  assert.match(failure("three / 0", context).message, /division by zero/);
});

test("any JSON value comes back as it went in, whole or through an expression", () => {
  const json = fc.jsonValue({ maxDepth: 3 }).map((found) => JSON.parse(JSON.stringify(found).replaceAll("__proto__", "proto")) as unknown);
  fc.assert(
    fc.property(json, (x) => {
      assert.deepEqual(value("x", { x }), x);
      assert.deepEqual(value("[x][0]", { x }), x);
      assert.deepEqual(value("{'x': x}", { x }), { x });
      assert.equal(value("x == y", { x, y: structuredClone(x) }), true);
    }),
  );
});

test("what an expression may need is there: texts, lists, conditions, has()", () => {
  const context = {
    steps: {
      "a-b": {
        output: {
          parts: [
            { title: "one", files: ["x", "y"] },
            { title: "two", files: [] },
          ],
        },
      },
      ok: { answer: "yes" },
    },
  };
  const results: [string, unknown][] = [
    ["steps['a-b'].output.parts.map(p, p.title).join(', ')", "one, two"],
    ["steps['a-b'].output.parts.filter(p, size(p.files) > 0).map(p, p.title)", ["one"]],
    ["steps['a-b'].output.parts[1].title", "two"],
    ["steps['a-b'].output.parts.all(p, p.title != '')", true],
    ["has(steps.ok.answer) && steps.ok.answer == 'yes'", true],
    ["has(steps.ok.reason)", false],
    ["'a,b'.split(',')", ["a", "b"]],
    ["string(1) + 'x'.upperAscii()", "1X"],
    ["type(1) == int", true],
    ["'yes' in ['yes', 'no'] ? 1 : 2", 1],
  ];
  for (const [cel, expected] of results) assert.deepEqual(value(cel, context), expected, cel);
});

test("a missing value is an error that shows the place", () => {
  const error = failure("steps.plan.output", { steps: {} });
  assert.match(error.message, /`steps\.plan\.output` failed: No such key: plan/);
  assert.match(error.why ?? "", /steps\.plan\.output\n\s+\^/);
  assert.match(failure("nothing").message, /Unknown variable: nothing/);
  assert.match(failure("a.b", { a: "text" }).message, /failed/);
  assert.match(failure("a +").why ?? "", /\^/);
  assert.match(failure("int").message, /a type, not a value/);
});

test("a condition is true or false, or an error", () => {
  assert.equal(evaluateCondition(parse("${{ a == 'yes' }}"), { a: "yes" }), true);
  assert.equal(evaluateCondition([{ cel: "false" }], {}), false);
  for (const a of ["yes", 1, null, [], {}])
    assert.throws(() => evaluateCondition(parse("${{ a }}"), { a }), { code: "invalid_input", message: /neither true nor false/ });
  assert.throws(() => evaluateCondition(["true"], {}), /neither true nor false/);
});

test("values of `with` are filled at every depth", () => {
  const given: Value = { map: { a: { list: [{ template: [{ cel: "x" }] }, { plain: 1 }] }, b: { template: ["n: ", { cel: "x.n" }] } } };
  assert.deepEqual(evaluateValue(given, { x: { n: 2 } }), { a: [{ n: 2 }, 1], b: "n: 2" });
});

test("prototypes cannot be reached, neither by name nor through data", () => {
  for (const cel of [
    "x.__proto__",
    "x['__proto__']",
    "x.constructor",
    "x['constructor'].y",
    "x.prototype",
    "{'__proto__': 1}",
    "{'constructor': 1}",
    "constructor",
    "[1].map(constructor, 1)[0].constructor",
  ]) {
    assert.match(fault(`\${{ ${cel} }}`).error, /not allowed|Reserved/, cel);
  }
  assert.match(failure("x.toString", { x: {} }).message, /No such key/);
  assert.match(failure("x.length", { x: [1] }).message, /failed/);
  assert.match(failure("hasOwnProperty").message, /Unknown variable/);
  assert.match(failure("[x]", { x: JSON.parse('{"__proto__": {"admin": true}}') }).message, /`__proto__`, which is not allowed/);
  assert.match(fault("${{ {x: 1} }}").error, /must be written as text/);
  assert.equal(value("has(x.constructorName)", { x: {} }), false);
  assert.deepEqual(value("[x]", { x: { constructor: 1, toString: 2 } }), [{ constructor: 1, toString: 2 }]);
});

test("functions that are not in the list are refused by name", () => {
  for (const cel of [
    "'a'.matches('(a+)+$')",
    "timestamp('x')",
    "duration('1s')",
    "bytes('x')",
    "cel.bind(x, 1, x)",
    "nothing(1)",
    "b'x'",
    "3u",
  ]) {
    assert.match(fault(`\${{ ${cel} }}`).error, /not available|no matching/, cel);
  }
  assert.match(fault("${{ x.map(1, 2) }}").error, /is wrong/);
});

test("loops are bounded before they run", () => {
  const x = Array.from({ length: 2_000 }, (_, index) => index);
  assert.equal(value("x.exists(a, a == 1999)", { x }), true);
  assert.match(failure("x.all(a, x.all(b, x.all(c, true)))", { x }).message, /loops could take/);
  assert.match(failure("x.all(a, a in x)", { x }).message, /loops could take/);
  assert.match(failure("(x + x + x).all(a, x.exists(b, b == a))", { x: x.slice(0, 700) }).message, /loops could take/);
  assert.match(failure("t.split('').all(a, t.split('').exists(b, b == a))", { t: "a".repeat(5_000) }).message, /loops could take/);
  const start = performance.now();
  assert.equal(value("x.all(a, x.exists(b, b == a))", { x: x.slice(0, 1_400) }), true);
  assert.ok(performance.now() - start < 15_000);
});

test("results and data are bounded in size and depth", () => {
  const x = Array.from({ length: 1_200 }, (_, index) => index);
  assert.match(failure("x.map(a, x)", { x }).message, /too large/);
  let deep: unknown = 1;
  for (let depth = 0; depth < 300; depth += 1) deep = [deep];
  assert.match(failure("[deep]", { deep }).message, /nested deeper/);
  assert.match(failure("[x]", { x: Array.from({ length: 1_000_001 }, () => 0) }).message, /more than 1000000 values/);
  const text = "x".repeat(40 * 1024 * 1024);
  assert.match(failure("[text, text]", { text }).message, /too large/);
});

test("only what an expression reads is copied", () => {
  const huge = Array.from({ length: 1_000_001 }, () => 0);
  assert.equal(value("a.small + 1", { a: { small: 1, huge }, huge }), 2);
  assert.equal(value("a.huge", { a: { huge } }), huge, "a plain path gives the value itself");
});

test("references are the roots and the steps that are read, without the names that loops give", () => {
  const of = (text: string): [string[], string[]] => {
    const found = references(parse(text));
    return [[...found.roots], [...found.steps]];
  };
  assert.deepEqual(of("${{ steps.a.output }} and ${{ steps['b-c'].output + inputs.x }}"), [
    ["steps", "inputs"],
    ["a", "b-c"],
  ]);
  assert.deepEqual(of("${{ steps.a.outputs.map(steps, steps.x) }}"), [["steps"], ["a"]]);
  assert.deepEqual(of("${{ [1].map(x, [x].map(y, x + y + z)) }}"), [["z"], []]);
  assert.deepEqual(of("${{ has(steps.a.output.x) ? steps.b : {'k': steps.c}['k'] }}"), [["steps"], ["a", "b", "c"]]);
  assert.deepEqual(of("${{ !(type(-inputs.x) == int && 'a' in with.y) }}"), [["inputs", "with"], []]);
  assert.deepEqual(of("${{ steps[inputs.x].output }}"), [["inputs", "steps"], ["*"]]);
  assert.deepEqual(of("${{ size(steps) }}"), [["steps"], ["*"]]);
  const nested: Value = { map: { a: { list: [{ template: parse("${{ steps.a }}") }, { plain: 1 }] } } };
  assert.deepEqual([...references(nested).steps], ["a"]);
});

test("the type of an expression is told as far as it is known without data", () => {
  assert.deepEqual(["x", "x == 1", "'a'", "[1]", "size(x)"].map(typeOf), ["dyn", "bool", "string", "list<int>", "int"]);
});

test("many different expressions do not fill the memory, and the oldest still work", () => {
  for (let n = 0; n < 1_200; n += 1) assert.equal(value(`x + ${n}`, { x: 1 }), n + 1);
  assert.equal(value("x + 0", { x: 1 }), 1);
});
