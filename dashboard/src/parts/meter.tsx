interface MeterProps {
  value: number;
  max: number;
  /** A mark on the line: the soft limit. */
  limit?: number;
  /** What is measured: "spent today". */
  label: string;
  /** The value in words: "$4.20 of $6.00". */
  words: string;
}

/** How much of something is used: neutral, with its limit as a line; it raises its voice only beyond the limit. */
export function Meter({ value, max, limit, label, words }: MeterProps) {
  const part = (of: number) => `${(max > 0 ? Math.min(1, Math.max(0, of / max)) * 100 : 0).toFixed(2)}%`;
  const over = value > (limit ?? max);
  return (
    <span
      className={over ? "meter meter--need" : "meter"}
      role="meter"
      aria-label={label}
      aria-valuenow={value}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuetext={words}
    >
      <svg aria-hidden>
        <rect width={part(value)} height="4" rx="2" />
        {limit !== undefined && <rect className="lim" x={part(limit)} y="-3" width="1.5" height="10" />}
      </svg>
    </span>
  );
}
