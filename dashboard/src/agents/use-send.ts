import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { problemOf, type Problem } from "../api/problem.ts";

/** For forms: sends what was typed; what went wrong stays with the form until the next try. */
export function useSend(): {
  busy: boolean;
  problem: Problem | null;
  send: <T>(work: () => Promise<T>, done: (answer: T) => void) => void;
} {
  const [problem, setProblem] = useState<Problem | null>(null);
  const { mutate, isPending } = useMutation({
    mutationFn: (work: () => Promise<void>) => work(),
    onMutate: () => setProblem(null),
    onError: (error) => setProblem(problemOf(error)),
  });
  return {
    busy: isPending,
    problem,
    send: (work, done) => {
      if (!isPending) mutate(async () => done(await work()));
    },
  };
}
