import type { z } from "zod";
import type { AgentSelector, Check } from "../tasks/task.ts";
import { schemaFault } from "../tasks/output.ts";
import type { AgentWork, FlowStep, Position, RunWork, Template, Value } from "./flow.ts";
import { partAt, quoted, textOfFile, type Located } from "./locate.ts";
import { kindOf, fieldsOf, plainOf, readDuration, readMap, readMinutes, readNumber, readText, readTexts, refuseUnknownKeys, isAllowedKey } from "./read-fields.ts";
import type { Fields, Named } from "./read-fields.ts";
import { readFileBeside } from "./read-file.ts";
import { readExpression, readTemplate, readTemplateText, readValue, type Reading, type Scope } from "./read-values.ts";
import { nearest, suggest } from "./suggest.ts";

/** A step as written: what can be known of it without the others. */
export interface WrittenStep {
  id: string | null;
  at: Position;
  /** Null: it waits for the step before it. */
  needs: Named_[] | null;
  /** Steps whose results it takes, beside those in expressions. */
  from: Named_ | null;
  merge: Named_[];
  kind: FlowStep["kind"] | null;
  /** Null: something is wrong with it, and a problem says so. */
  body: Body | null;
}

/** The name of a step where it was written. */
interface Named_ {
  text: string;
  at: Position;
}

type AgentBody = z.infer<typeof AgentWork>;
type RunBody = z.infer<typeof RunWork>;
/** A step without what all steps have. */
export type Body = FlowStep extends infer Step ? (Step extends FlowStep ? Omit<Step, "id" | "needs" | "if" | "at"> & { if: Template | null } : never) : never;
