import type { ReactNode } from "react";
import { CopyButton } from "./copy-button.tsx";
import { Pieces } from "./plain.tsx";

interface CodeBlockProps {
  text: string;
  /** What it is: "Exact command", "ts". */
  title?: ReactNode;
  /** The language, as the author named it; shown, not trusted. */
  lang?: string;
  /** More about it, in the bar: the folder, the machine. */
  facts?: ReactNode;
}

/** A command, a file or a value, exactly, with a copy button. Long lines wrap; nothing is clipped. */
export function CodeBlock({ text, title, lang, facts }: CodeBlockProps) {
  return (
    <div className="cmd">
      <div className="cmd__bar">
        <span>{title ?? <Pieces text={lang ?? "text"} marked="all" />}</span>
        {facts !== undefined && <span className="mono clip">{facts}</span>}
        <span className="push">
          <CopyButton text={text} />
        </span>
      </div>
      <pre>
        <code>
          <Pieces text={text} />
        </code>
      </pre>
    </div>
  );
}
