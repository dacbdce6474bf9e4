/** A small line of the last values, oldest first. The number it stands beside says the rest. */
export function Spark({ values, label }: { values: readonly number[]; label: string }) {
  const [width, height] = [72, 20];
  const top = Math.max(...values, 0);
  const points = values.map((value, index) => {
    const x = values.length < 2 ? width / 2 : 2 + (index * (width - 4)) / (values.length - 1);
    const y = top === 0 ? height - 3 : height - 3 - (value / top) * (height - 6);
    return [x.toFixed(1), y.toFixed(1)] as const;
  });
  const line = points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${x} ${y}`).join("");
  const first = points[0];
  const last = points.at(-1);
  return (
    <svg className="spark" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {first !== undefined && last !== undefined && (
        <>
          <path className="fill" d={`${line}L${last[0]} ${height}L${first[0]} ${height}z`} />
          <path d={line} />
          <circle cx={last[0]} cy={last[1]} r="1.8" />
        </>
      )}
    </svg>
  );
}
