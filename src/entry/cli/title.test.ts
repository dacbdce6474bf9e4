import assert from "node:assert/strict";
import { test } from "node:test";
import { titleText } from "./title.ts";

test("the number that needs the person stands first, and nothing when nothing does", () => {
  assert.equal(titleText(2, "T-12"), "\u001b]0;◆ 2 tutti T-12\u0007");
  assert.equal(titleText(0, "R-1"), "\u001b]0;tutti R-1\u0007");
});

test("nothing but letters of an id comes into it", () => {
  assert.equal(titleText(0, "shop\u0007\u001b]0;owned"), "\u001b]0;tutti shop0owned\u0007");
});
