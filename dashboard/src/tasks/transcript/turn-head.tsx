import { Age } from "../../parts/age.tsx";
import { Plain } from "../../parts/plain.tsx";
import type { TurnBlocks } from "./blocks.ts";

export function TurnHead({ turn: { turn, at }, agent }: { turn: TurnBlocks; agent: string }) {
  return (
    <header className="turn__head">
      <span className="turn__n" aria-hidden>
        {turn}
      </span>
      <b>
        <Plain text={agent} />
      </b>
      <span>turn {turn}</span>
      <span className="push">
        <Age at={at} /> ago
      </span>
    </header>
  );
}
