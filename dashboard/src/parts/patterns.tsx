/** The hatchings of bars in time views (a person, starting, failed, compressed time). Once in a page that draws such bars. */
export function Patterns() {
  return (
    <svg className="vh" aria-hidden>
      <defs>
        <pattern id="p-person" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="6" height="6" fill="var(--needs-tint)" />
          <rect width="3" height="6" fill="var(--needs-fill)" />
        </pattern>
        <pattern id="p-fail" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">
          <rect width="5" height="5" fill="var(--fail)" />
          <rect width="1.5" height="5" fill="var(--surface)" />
        </pattern>
        <pattern id="p-start" width="4" height="4" patternUnits="userSpaceOnUse">
          <rect width="4" height="4" fill="var(--surface)" />
          <rect width="2" height="4" fill="var(--run-soft)" />
        </pattern>
        <pattern id="p-band" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="1" height="6" fill="var(--line-3)" />
        </pattern>
      </defs>
    </svg>
  );
}
