import { memo } from "react";
import { plainPieces } from "./plain-pieces.ts";

interface PlainProps {
  text: string;
  /** "space": as any text on one line. "keep": line breaks are kept. "mark": line breaks and tabs are seen too (file names). */
  lines?: "space" | "keep" | "mark";
}

/** Any text that an agent may have written. Characters that hide, move or command are seen as small marks; copying copies the marks. */
export const Plain = memo(function Plain({ text, lines = "space" }: PlainProps) {
  return (
    <bdi className={lines === "keep" ? "plain plain--lines" : "plain"}>
      <Pieces text={text} marked={lines === "mark" ? "all" : "controls"} />
    </bdi>
  );
});

/** The same without an element around it, for lines of code that have their own. */
export function Pieces({ text, marked = "controls" }: { text: string; marked?: "controls" | "all" }) {
  return plainPieces(text, marked).map((piece, index) =>
    piece.mark === undefined ? (
      piece.text
    ) : (
      <span key={index} className="esc" title={piece.mark}>
        {piece.text}
      </span>
    ),
  );
}
