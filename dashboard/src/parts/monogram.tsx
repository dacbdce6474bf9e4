import { plainString } from "./plain-pieces.ts";

interface MonogramProps {
  name: string;
  /** Agents are square, people are round. */
  kind: "agent" | "person";
  large?: boolean;
}

/** Who, in one or two letters, with the whole name as its title. The name stands beside it wherever there is room. */
export function Monogram({ name, kind, large = false }: MonogramProps) {
  const letters = (kind === "person" ? /[\p{L}\p{N}]/u : /[\p{L}\p{N}]{1,2}/u).exec(name)?.[0] ?? "?";
  return (
    <span
      className={`who${kind === "person" ? " who--person" : ""}${large ? " who--24" : ""}`}
      title={plainString(name, "all")}
      aria-hidden
    >
      {kind === "person" ? letters.toUpperCase() : letters.toLowerCase()}
    </span>
  );
}
