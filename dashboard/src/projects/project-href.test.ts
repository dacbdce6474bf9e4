import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultParseSearch } from "@tanstack/react-router";
import { projectHref } from "./project-href.ts";

const searchOf = (href: string): object => ({ ...defaultParseSearch(href.slice(href.indexOf("?"))) });

test("every id arrives as the text that it is", () => {
  for (const project of ["storefront", "2048", "true", "null"]) assert.deepEqual(searchOf(projectHref("/board", project)), { project });
});

test("the fleet is shown as a table, because only that is filtered", () => {
  assert.deepEqual(searchOf(projectHref("/fleet", "a")), { lens: "table", project: "a" });
});
