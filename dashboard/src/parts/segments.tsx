import { type ReactNode, useId } from "react";
import { Keycap } from "./keycap.tsx";

export interface Segment<V extends string> {
  value: V;
  title: ReactNode;
  count?: number;
  keys?: string;
}

interface SegmentsProps<V extends string> {
  label: string;
  value: V;
  onChange: (value: V) => void;
  segments: readonly Segment<V>[];
  small?: boolean;
}

/** A few views of the same thing, or a filter with a few values, side by side. */
export function Segments<V extends string>({ label, value, onChange, segments, small = false }: SegmentsProps<V>) {
  const name = useId();
  return (
    <fieldset className={small ? "seg seg--s" : "seg"}>
      <legend className="vh">{label}</legend>
      {segments.map((segment) => (
        <label key={segment.value}>
          <input type="radio" className="vh" name={name} checked={segment.value === value} onChange={() => onChange(segment.value)} />
          {segment.title}
          {segment.count !== undefined && <span className="num t3">{segment.count.toLocaleString("en")}</span>}
          {segment.keys !== undefined && <Keycap keys={segment.keys} />}
        </label>
      ))}
    </fieldset>
  );
}
