import { ChevronDown, ChevronRight, File } from "lucide-react";
import { memo, type ReactNode, useDeferredValue, useId, useMemo, useRef, useState } from "react";
import { Button } from "./button.tsx";
import { Checkbox } from "./checkbox.tsx";
import { DiffPalette } from "./diff-palette.tsx";
import { Empty } from "./empty.tsx";
import { Icon } from "./icon.tsx";
import { Pieces, Plain } from "./plain.tsx";
import { changedPart, type DiffFile, type DiffHunk, type DiffLine, isGenerated, pairedLines, parseDiff } from "./unified-diff.ts";

interface DiffProps {
  /** What `git diff` wrote. */
  text: string;
  /** Paths that the person has looked at. Without it the marks last as long as the page. */
  viewed?: ReadonlySet<string>;
  onViewed?: (path: string, viewed: boolean) => void;
  /** On the right of its head: the switch of the colours, and whatever else. */
  tools?: ReactNode;
}

/** Files with more lines than this start folded: a page of agent work can hold a hundred thousand lines. */
const foldAbove = 400;
const shownAtFirst = 1_000;
const shownMore = 2_000;
/** So many lines are drawn with the page, the others right after it. */
const drawnAtOnce = 200;
const longLine = 2_000;

/** A change, file by file: names with counts first, then each file's lines with signs, numbers and marks for what differs. */
export function Diff({ text, viewed, onViewed, tools = <DiffPalette /> }: DiffProps) {
  const { files, preamble } = useMemo(() => parseDiff(text), [text]);
  const folded = useMemo(() => foldedAtFirst(files), [files]);
  const [own, setOwn] = useState<ReadonlySet<string>>(new Set());
  const [toggled, setToggled] = useState<ReadonlySet<number>>(new Set());
  const box = useRef<HTMLDivElement>(null);
  const seen = viewed ?? own;
  const view = (path: string, on: boolean) => {
    if (onViewed !== undefined) onViewed(path, on);
    if (viewed === undefined) setOwn(withMember(own, path, on));
  };
  const isOpen = (file: DiffFile, index: number) => (folded.has(index) || seen.has(file.path)) === toggled.has(index);
  const go = (index: number) => {
    const file = files[index];
    if (file !== undefined && !isOpen(file, index)) setToggled(withMember(toggled, index, !toggled.has(index)));
    box.current?.querySelector(`[data-file="${index}"]`)?.scrollIntoView({ block: "start" });
  };
  if (files.length === 0 && preamble.length === 0) return <Empty kind="clear" title="No changes" text="The files are as they were." />;
  return (
    <div ref={box} className="diffs">
      <div className="diffs__bar">
        <b>Diff</b>
        <span className="t3">
          {files.length} {files.length === 1 ? "file" : "files"}
        </span>
        <Counts added={sum(files, "added")} deleted={sum(files, "deleted")} />
        <span className="push flex">{tools}</span>
      </div>
      <ul className="files" aria-label="Changed files">
        {files.map((file, index) => (
          <li key={index}>
            <button type="button" className="files__name" onClick={() => go(index)}>
              <Icon of={File} />
              <span className="clip">
                <FileName file={file} />
              </span>
              <span className="t3 s12">{noteOf(file)}</span>
              <Counts added={file.added} deleted={file.deleted} />
            </button>
            <Checkbox checked={seen.has(file.path)} labelHidden onChange={(on) => view(file.path, on)}>
              viewed: <Plain text={file.path} lines="mark" />
            </Checkbox>
          </li>
        ))}
      </ul>
      {preamble.some((line) => line.trim() !== "") && (
        <pre className="diffs__other">
          <Pieces text={preamble.join("\n")} />
        </pre>
      )}
      {files.map((file, index) => (
        <FilePart
          key={index}
          index={index}
          file={file}
          open={isOpen(file, index)}
          viewed={seen.has(file.path)}
          onOpen={() => setToggled(withMember(toggled, index, !toggled.has(index)))}
          onViewed={(on) => {
            setToggled(withMember(toggled, index, false));
            view(file.path, on);
          }}
        />
      ))}
    </div>
  );
}

interface FilePartProps {
  index: number;
  file: DiffFile;
  open: boolean;
  viewed: boolean;
  onOpen: () => void;
  onViewed: (on: boolean) => void;
}

function FilePart({ index, file, open, viewed, onOpen, onViewed }: FilePartProps) {
  const id = useId();
  return (
    <section className="diff" data-file={index} aria-labelledby={id}>
      <div className="diff__file">
        <button type="button" className="diff__name" aria-expanded={open} onClick={onOpen}>
          <Icon of={open ? ChevronDown : ChevronRight} small />
          <span id={id} className="clip">
            <FileName file={file} />
          </span>
        </button>
        <span className="t3 s12 nowrap">{noteOf(file)}</span>
        <Counts added={file.added} deleted={file.deleted} />
        <Checkbox checked={viewed} onChange={onViewed}>
          viewed
        </Checkbox>
      </div>
      {open && <FileLines file={file} />}
    </section>
  );
}

/** What a folded file does not cost: its lines are made when it is opened. */
const FileLines = memo(function FileLines({ file }: { file: DiffFile }) {
  const lines = file.hunks.reduce((all, hunk) => all + hunk.lines.length, 0);
  const [most, setMost] = useState(shownAtFirst);
  let left = useDeferredValue(most, drawnAtOnce);
  return (
    <>
      {file.binary && <p className="diff__gap">A binary file: its content is not shown.</p>}
      {!file.binary && file.hunks.length === 0 && (
        <p className="diff__gap">No lines changed{file.mode !== undefined && ", only the mode"}.</p>
      )}
      {file.hunks.map((hunk, at) => {
        if (left <= 0) return null;
        const shown = Math.min(left, hunk.lines.length);
        left -= shown;
        return <Hunk key={at} hunk={hunk} gap={gapBefore(file.hunks, at)} shown={shown} />;
      })}
      {lines > most && (
        <p className="diff__gap">
          <Button kind="quiet" onClick={() => setMost(most + shownMore)}>
            Show {Math.min(shownMore, lines - most).toLocaleString("en")} of {(lines - most).toLocaleString("en")} more lines
          </Button>
        </p>
      )}
      {file.unread.length > 0 && (
        <pre className="diffs__other">
          <Pieces text={file.unread.join("\n")} />
        </pre>
      )}
    </>
  );
});

function Hunk({ hunk, gap, shown }: { hunk: DiffHunk; gap: number; shown: number }) {
  const pairs = useMemo(() => pairedLines(hunk.lines), [hunk]);
  return (
    <>
      {(gap > 0 || hunk.section !== "") && (
        <div className="diff__hunk">
          {gap > 0 && <span>{gap.toLocaleString("en")} unchanged lines </span>}
          {hunk.section !== "" && (
            <span>
              @@ <Plain text={hunk.section.slice(0, 200)} />
            </span>
          )}
        </div>
      )}
      {hunk.lines.slice(0, shown).map((line, index) => (
        <Line key={index} line={line} other={hunk.lines[pairs.get(index) ?? -1]} />
      ))}
    </>
  );
}

const signs = { same: "", add: "+", del: "\u2212" } as const;
const words = { same: undefined, add: "added", del: "deleted" } as const;

function Line({ line, other }: { line: DiffLine; other: DiffLine | undefined }) {
  const [whole, setWhole] = useState(false);
  const text = whole ? line.text : line.text.slice(0, longLine);
  const [before, after] = line.kind === "del" ? [line.text, other?.text] : [other?.text, line.text];
  const part = before === undefined || after === undefined ? undefined : changedPart(before, after);
  const end = part === undefined ? 0 : line.kind === "del" ? part.beforeEnd : part.afterEnd;
  return (
    <div className={line.kind === "same" ? "dl" : `dl dl--${line.kind}`}>
      <i>{line.old}</i>
      <i>{line.new}</i>
      <b aria-label={words[line.kind]} role={line.kind === "same" ? undefined : "img"}>
        {signs[line.kind]}
      </b>
      <code>
        {part === undefined || end <= part.start ? (
          <Pieces text={text} />
        ) : (
          <>
            <Pieces text={text.slice(0, part.start)} />
            <mark>
              <Pieces text={text.slice(part.start, end)} />
            </mark>
            <Pieces text={text.slice(end)} />
          </>
        )}
        {line.text.length > text.length && (
          <button type="button" className="more" onClick={() => setWhole(true)}>
            {(line.text.length - text.length).toLocaleString("en")} more characters
          </button>
        )}
        {line.noNewline === true && <span className="esc">no line feed at the end</span>}
      </code>
    </div>
  );
}

function FileName({ file }: { file: DiffFile }) {
  const cut = file.path.lastIndexOf("/") + 1;
  return (
    <>
      {file.from !== undefined && (
        <span className="t3">
          <Plain text={file.from} lines="mark" /> {"\u2192"}{" "}
        </span>
      )}
      <bdi className="plain">
        <span className="t2">
          <Pieces text={file.path.slice(0, cut)} marked="all" />
        </span>
        <Pieces text={file.path.slice(cut)} marked="all" />
      </bdi>
    </>
  );
}

function Counts({ added, deleted }: { added: number; deleted: number }) {
  return (
    <span className="pm">
      <b>+{added.toLocaleString("en")}</b> <i>{`\u2212${deleted.toLocaleString("en")}`}</i>
    </span>
  );
}

/** What the counts do not say: new, renamed, binary, a mode, generated. */
function noteOf(file: DiffFile): string {
  const notes: string[] = [];
  if (file.change === "added") notes.push("new");
  else if (file.change !== "changed") notes.push(file.change);
  if (file.similarity !== undefined && file.similarity < 100 && file.change !== "changed") notes.push(`${file.similarity} % the same`);
  if (file.mode !== undefined)
    notes.push(file.mode.old === "" ? modeWord(file.mode.new) : `${modeWord(file.mode.old)} \u2192 ${modeWord(file.mode.new)}`);
  if (file.binary) notes.push("binary");
  if (isGenerated(file.path)) notes.push("generated");
  return notes.join(", ");
}

const modeWord = (mode: string): string =>
  mode === "100755"
    ? "executable"
    : mode === "100644"
      ? "not executable"
      : mode === "120000"
        ? "link"
        : mode === "160000"
          ? "submodule"
          : `mode ${mode.slice(0, 12)}`;

const sum = (files: readonly DiffFile[], key: "added" | "deleted"): number => files.reduce((all, file) => all + file[key], 0);

function gapBefore(hunks: readonly DiffHunk[], at: number): number {
  const hunk = hunks[at];
  const last = hunks[at - 1];
  if (hunk === undefined) return 0;
  return last === undefined
    ? Math.max(0, hunk.newStart - 1)
    : hunk.newStart - last.newStart - last.lines.filter((line) => line.kind !== "del").length;
}

/** Large and generated files, and everything after the first lines of a very large change. */
function foldedAtFirst(files: readonly DiffFile[]): ReadonlySet<number> {
  let shown = 0;
  return new Set(
    files.flatMap((file, index) => {
      const lines = file.hunks.reduce((all, hunk) => all + hunk.lines.length, 0);
      if (lines > foldAbove || isGenerated(file.path) || shown + lines > shownAtFirst) return [index];
      shown += lines;
      return [];
    }),
  );
}

function withMember<M>(members: ReadonlySet<M>, member: M, on: boolean): ReadonlySet<M> {
  const next = new Set(members);
  if (on) next.add(member);
  else next.delete(member);
  return next;
}
