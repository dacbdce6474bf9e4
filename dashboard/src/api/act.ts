import { useMutation } from "@tanstack/react-query";
import type { z } from "zod";
import type { entries } from "../../../src/commands.ts";
import { useToast } from "../parts/toasts.tsx";
import { client } from "./client.ts";
import { problemOf } from "./problem.ts";

type CommandEntry = Extract<(typeof entries)[number], { kind: "command" }>;
export type CommandName = CommandEntry["name"];
type InputOf<Name extends CommandName> = z.input<Extract<CommandEntry, { name: Name }>["input"]>;
type AnswerOf<Name extends CommandName> = z.output<Extract<CommandEntry, { name: Name }>["output"]>;

/** Calls a command once: a request that is repeated after a lost answer changes nothing a second time. Rejects with AppError. */
export const call = <Name extends CommandName>(name: Name, input: InputOf<Name>): Promise<AnswerOf<Name>> =>
  (client.command as (name: string, input: unknown, options: { key: string }) => Promise<unknown>)(name, input, {
    key: crypto.randomUUID(),
  }) as Promise<AnswerOf<Name>>;

/** For buttons and keys: does something that may fail; a failure is a toast, `busy` is true meanwhile. */
export function useAct(): { busy: boolean; act: (work: () => Promise<unknown>, done?: () => void) => void } {
  const toast = useToast();
  const { mutate, isPending } = useMutation({
    mutationFn: ({ work }: { work: () => Promise<unknown>; done?: () => void }) => work(),
    onSuccess: (_result, { done }) => done?.(),
    onError: (error) => toast.fail(problemOf(error)),
  });
  return { busy: isPending, act: (work, done) => mutate({ work, done }) };
}
