/** Something is on its way: still lines in the shape of a list. `label` says what. */
export function Loading({ label = "Loading", lines = 3 }: { label?: string; lines?: number }) {
  return (
    <div className="loading" role="status">
      <span className="vh">{label}</span>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} className={`skel skel--${index % 3}`} />
      ))}
    </div>
  );
}
