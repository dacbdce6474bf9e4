import { Image } from "lucide-react";
import { type AnchorHTMLAttributes, type ImgHTMLAttributes, memo, type ReactNode, useMemo } from "react";
import ReactMarkdown, { type Components, type ExtraProps } from "react-markdown";
import { CodeBlock } from "./code-block.tsx";
import { Icon } from "./icon.tsx";
import { Link } from "./link.tsx";
import { imageHost, linkTarget } from "./link-target.ts";
import { markdownBlocks, textLimit } from "./markdown-blocks.ts";
import { Pieces, Plain } from "./plain.tsx";
import { plainPieces } from "./plain-pieces.ts";

type Element = NonNullable<ExtraProps["node"]>;
type Content = Element["children"][number];

/**
 * An agent's Markdown. No HTML of its own (it is shown as text), no images (a chip names their host), links only to https, mail and
 * this dashboard, each with its host in sight. Text goes through the same marks as `Plain`. Long texts are parsed block by block.
 */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => markdownBlocks(text), [text]);
  return (
    <div className="md">
      {blocks.map((block, index) => (block.plain ? <Deep key={index} text={block.text} /> : <Block key={index} text={block.text} />))}
      {text.length > textLimit && (
        <p className="note">This text has {(text.length - textLimit).toLocaleString("en")} more characters that are not shown here.</p>
      )}
    </div>
  );
});

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <ReactMarkdown components={components} allowedElements={allowed} unwrapDisallowed rehypePlugins={plugins} urlTransform={keepUrl}>
      {text}
    </ReactMarkdown>
  );
});

const Deep = memo(function Deep({ text }: { text: string }) {
  return (
    <pre className="md__deep">
      <Pieces text={text} />
    </pre>
  );
});

const allowed = [
  "p", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "a", "img", "hr", "br", "span",
]; // prettier-ignore

/** The components below judge every address themselves; the library's own rule would let http, irc and xmpp through. */
const keepUrl = (url: string): string => url;

/** Marks hidden characters in every text of the tree; fenced code is left to `CodeBlock`, which does the same. */
const markHidden = () => (tree: Element) => markIn(tree);
const plugins = [markHidden];

function markIn(parent: Element): void {
  parent.children = parent.children.flatMap((child): Content[] => {
    if (child.type === "element" && child.tagName !== "pre") markIn(child);
    if (child.type !== "text") return [child];
    return plainPieces(child.value).map((piece): Content => {
      const text: Content = { type: "text", value: piece.text };
      if (piece.mark === undefined) return text;
      return { type: "element", tagName: "span", properties: { className: ["esc"], title: piece.mark }, children: [text] };
    });
  });
}

/** An agent's headings stand below the page's own, whatever their number. */
const heading = (level: 3 | 4 | 5) =>
  function Heading({ children }: { children?: ReactNode }) {
    const Tag = `h${level}` as const;
    return <Tag className={`md__h md__h--${level}`}>{children}</Tag>;
  };

function Anchor({ href = "", children }: AnchorHTMLAttributes<HTMLAnchorElement> & ExtraProps) {
  const target = linkTarget(href);
  if (target === undefined) {
    return (
      <>
        {children}
        {href !== "" && (
          <span className="md__host">
            {" "}
            (<Plain text={href.slice(0, 200)} lines="mark" />)
          </span>
        )}
      </>
    );
  }
  if (target.kind === "inside") {
    return (
      <Link className="link" href={target.href}>
        {children}
      </Link>
    );
  }
  return (
    <a className="link" href={target.href} rel="noopener noreferrer" target="_blank">
      {children} <span className="md__host">({target.host})</span>
    </a>
  );
}

function Picture({ src, alt }: ImgHTMLAttributes<HTMLImageElement> & ExtraProps) {
  const host = typeof src === "string" ? imageHost(src) : "unknown";
  return (
    <span className="chip" title="Pictures in agents' texts are not loaded: loading one would tell its host that it was read.">
      <Icon of={Image} small />
      <span className="clip">
        picture
        {alt !== undefined && alt !== "" && (
          <>
            : <Plain text={alt} />
          </>
        )}{" "}
        <span className="t3">({host})</span>
      </span>
    </span>
  );
}

/** A fenced block: `pre` around `code`. */
function Fence({ node }: { node?: Element }) {
  const code = node?.children.find((child): child is Element => child.type === "element" && child.tagName === "code");
  const lang = code?.properties.className;
  const name = Array.isArray(lang) ? String(lang[0] ?? "").replace(/^language-/, "") : "";
  return <CodeBlock text={textOf(code).replace(/\n$/, "")} lang={name === "" ? "code" : name.slice(0, 40)} />;
}

const textOf = (node: Content | undefined): string =>
  node === undefined ? "" : node.type === "text" ? node.value : node.type === "element" ? node.children.map(textOf).join("") : "";

const components: Components = {
  a: Anchor,
  img: Picture,
  pre: Fence,
  h1: heading(3),
  h2: heading(3),
  h3: heading(4),
  h4: heading(5),
  h5: heading(5),
  h6: heading(5),
};
