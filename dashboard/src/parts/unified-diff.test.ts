import assert from "node:assert/strict";
import { test } from "node:test";
import { changedPart, isGenerated, pairedLines, parseDiff, unquote } from "./unified-diff.ts";

const only = (text: string) => {
  const { files, preamble } = parseDiff(text);
  assert.equal(files.length, 1);
  assert.deepEqual(preamble, []);
  const [file] = files;
  assert.ok(file);
  return file;
};
const lines = (...all: string[]): string => `${all.join("\n")}\n`;

/* Every sample below is what git 2 wrote for such a change, cut to the point. */

test("a changed file has its hunks with numbers on both sides", () => {
  const file = only(
    lines(
      "diff --git a/plain.txt b/plain.txt",
      "index de98044..a7bc997 100644",
      "--- a/plain.txt",
      "+++ b/plain.txt",
      "@@ -1,3 +1,4 @@ head()",
      " a",
      "-b",
      "+B",
      " c",
      "+d",
    ),
  );
  assert.equal(file.path, "plain.txt");
  assert.deepEqual([file.change, file.added, file.deleted, file.unread], ["changed", 2, 1, []]);
  assert.equal(file.hunks[0]?.section, "head()");
  assert.deepEqual(file.hunks[0]?.lines, [
    { kind: "same", text: "a", old: 1, new: 1 },
    { kind: "del", text: "b", old: 2 },
    { kind: "add", text: "B", new: 2 },
    { kind: "same", text: "c", old: 3, new: 3 },
    { kind: "add", text: "d", new: 4 },
  ]);
});

test("a changed line that looks like a head stays a line", () => {
  const { files } = parseDiff(
    lines(
      "diff --git a/sneaky.txt b/sneaky.txt", "index 77c232c..a6a9baf 100644", "--- a/sneaky.txt", "+++ b/sneaky.txt", "@@ -1,4 +1,2 @@",
      "--- a/x", "-++ b/x", "-@@ -1 +1 @@", "+diff --git a/y b/y", " end",
      "diff --git a/next b/next", "old mode 100644", "new mode 100755",
    ),
  ); // prettier-ignore
  assert.deepEqual(
    files.map((file) => file.path),
    ["sneaky.txt", "next"],
  );
  assert.deepEqual(
    files[0]?.hunks[0]?.lines.map((line) => line.text),
    ["-- a/x", "++ b/x", "@@ -1 +1 @@", "diff --git a/y b/y", "end"],
  );
  assert.deepEqual([files[0]?.added, files[0]?.deleted], [1, 3]);
});

test("names are read as git quotes them: octal bytes as UTF-8, and what is not UTF-8 keeps its codes", () => {
  assert.equal(unquote(String.raw`"a/\303\244\346\227\245\346\234\254.txt"`), "a/ä日本.txt");
  assert.equal(unquote(String.raw`"b/quo\"te\\back.txt"`), String.raw`b/quo"te\back.txt`);
  assert.equal(unquote(String.raw`"b/new\nline\t.txt"`), "b/new\nline\t.txt");
  assert.equal(unquote(String.raw`"b/bad\377.txt"`), String.raw`b/bad\377.txt`);
  assert.equal(unquote("b/plain name.txt"), "b/plain name.txt");
  assert.equal(unquote(String.raw`"rlo\342\200\256fdp.txt"`), "rlo\u202efdp.txt");
});

test("two different files never get the same name", () => {
  const names = [String.raw`"\377"`, String.raw`"\376"`, String.raw`"\357\277\275"`, String.raw`"\\377"`].map(unquote);
  assert.equal(new Set(names.slice(0, 3)).size, 3);
});

test("the name comes from the head where no other line has it, also with spaces and a folder called b", () => {
  assert.equal(only(lines("diff --git a/a b/c b b/a b/c b", "old mode 100644", "new mode 100755")).path, "a b/c b");
  assert.equal(
    only(lines("diff --git a/bin.dat b/bin.dat", "index 1..2 100644", "Binary files a/bin.dat and b/bin.dat differ")).path,
    "bin.dat",
  );
  assert.equal(
    only(lines(String.raw`diff --git "a/new\nline.txt" "b/new\nline.txt"`, "old mode 100644", "new mode 100755")).path,
    "new\nline.txt",
  );
  const spaced = only(
    lines("diff --git a/with space.txt b/with space.txt", "--- a/with space.txt\t", "+++ b/with space.txt\t", "@@ -1 +1 @@", "-x", "+y"),
  );
  assert.equal(spaced.path, "with space.txt");
});

test("renames, copies, modes, new, deleted and binary files are told apart", () => {
  const renamed = only(
    lines("diff --git a/old.txt b/new name.txt", "similarity index 85%", "rename from old.txt", "rename to new name.txt"),
  );
  assert.deepEqual([renamed.change, renamed.from, renamed.path, renamed.similarity], ["renamed", "old.txt", "new name.txt", 85]);
  const copied = only(lines("diff --git a/a b/b", "similarity index 100%", "copy from a", "copy to b"));
  assert.deepEqual([copied.change, copied.from, copied.path], ["copied", "a", "b"]);
  const mode = only(lines("diff --git a/m b/m", "old mode 100644", "new mode 100755"));
  assert.deepEqual([mode.mode, mode.hunks], [{ old: "100644", new: "100755" }, []]);
  const added = only(
    lines(
      "diff --git a/l b/l",
      "new file mode 120000",
      "index 0..1",
      "--- /dev/null",
      "+++ b/l",
      "@@ -0,0 +1 @@",
      "+target",
      "\\ No newline at end of file",
    ),
  );
  assert.deepEqual([added.change, added.mode?.new, added.path], ["added", "120000", "l"]);
  const deleted = only(
    lines("diff --git a/gone.txt b/gone.txt", "deleted file mode 100644", "--- a/gone.txt", "+++ /dev/null", "@@ -1 +0,0 @@", "-gone"),
  );
  assert.deepEqual([deleted.change, deleted.path, deleted.deleted], ["deleted", "gone.txt", 1]);
  const binary = parseDiff(
    lines(
      "diff --git a/b b/b",
      "index 1..2",
      "GIT binary patch",
      "literal 2",
      "Jc${MZ00961",
      "",
      "literal 2",
      "Jc${MZ",
      "",
      "diff --git a/c b/c",
    ),
  );
  assert.deepEqual(binary.files.map((file) => [file.path, file.binary, file.unread]), [["b", true, []], ["c", false, []]]); // prettier-ignore
});

test("a missing line feed belongs to the line before it, on both sides", () => {
  const file = only(
    lines(
      "diff --git a/n b/n",
      "--- a/n",
      "+++ b/n",
      "@@ -1 +1 @@",
      "-old",
      "\\ No newline at end of file",
      "+new",
      "\\ No newline at end of file",
    ),
  );
  assert.deepEqual(file.hunks[0]?.lines, [
    { kind: "del", text: "old", old: 1, noNewline: true },
    { kind: "add", text: "new", new: 1, noNewline: true },
  ]);
});

test("carriage returns stay in the lines, where they can be seen", () => {
  const file = only(lines("diff --git a/c b/c", "--- a/c", "+++ b/c", "@@ -1,2 +1,2 @@", " crlf\r", "-line\r", "+LINE"));
  assert.deepEqual(
    file.hunks[0]?.lines.map((line) => line.text),
    ["crlf\r", "line\r", "LINE"],
  );
});

test("what is not understood is kept, never dropped", () => {
  const odd = parseDiff(
    lines(
      "From 1234 Mon Sep 17",
      "Subject: x",
      "diff --git a/x b/x",
      "some future header",
      "@@@ -1 -1 +1 @@@",
      "++both",
      "@@ broken @@",
      "-",
    ),
  );
  assert.deepEqual(odd.preamble, ["From 1234 Mon Sep 17", "Subject: x"]);
  assert.deepEqual(odd.files[0]?.unread, ["some future header", "@@@ -1 -1 +1 @@@", "++both", "@@ broken @@", "-"]);
  const short = only(lines("diff --git a/x b/x", "--- a/x", "+++ b/x", "@@ -1 +1 @@", "-a", "+b", "+one more than the head says"));
  assert.deepEqual([short.added, short.unread], [1, ["+one more than the head says"]]);
  assert.deepEqual(parseDiff(""), { files: [], preamble: [] });
});

test("the mark on a pair of lines covers whole words, and is left out where it would not help", () => {
  const cut = (before: string, after: string) => {
    const part = changedPart(before, after);
    return part && [before.slice(part.start, part.beforeEnd), after.slice(part.start, part.afterEnd)];
  };
  assert.deepEqual(cut("const row = payments.find(id);", "const row = payments.settled(id);"), ["find", "settled"]);
  assert.deepEqual(cut("return value", "return value + 1"), ["", " + 1"]);
  assert.deepEqual(
    cut("say 👍🏻 now", "say 👍🏿 now")?.map((part) => /[\ud800-\udbff]$|^[\udc00-\udfff]/.test(part)),
    [false, false],
  );
  assert.equal(cut("abc", "xyz"), undefined);
  assert.equal(cut("same", "same"), undefined);
  assert.equal(changedPart("x".repeat(3_000), "x".repeat(2_999)), undefined);
});

test("in a block of changes the n-th deleted line belongs to the n-th added one", () => {
  const kinds = ["same", "del", "del", "add", "same", "add", "del", "add"] as const;
  const pairs = pairedLines(kinds.map((kind) => ({ kind, text: "" })));
  assert.deepEqual([...pairs], [[1, 3], [3, 1], [6, 7], [7, 6]]); // prettier-ignore
});

test("files that tools write are known by their names, wherever they lie", () => {
  for (const path of ["package-lock.json", "web/yarn.lock", "dist/app.min.js", "a/b.map"]) assert.equal(isGenerated(path), true, path);
  for (const path of ["package.json", "src/lock.ts", "my-package-lock.json.ts", "map"]) assert.equal(isGenerated(path), false, path);
});
