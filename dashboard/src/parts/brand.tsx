/** The mark: two stems under one beam. */
export function Mark() {
  return (
    <svg className="brandmark" viewBox="0 0 24 24" fill="none" strokeWidth="2.8" strokeLinecap="round" role="img" aria-label="Tutti">
      <path className="stem-ink" d="M7.5 3v13a4 4 0 0 0 4 4M16.5 3v13a4 4 0 0 0 4 4" />
      <path className="beam-ink" d="M2.5 9h19" />
    </svg>
  );
}

/** The name, its five letters under one beam. */
export function Wordmark() {
  return (
    <svg className="wordmark" viewBox="0 0 76 26" fill="none" strokeWidth="2.7" strokeLinecap="round" role="img" aria-label="Tutti">
      <path
        className="stem-ink"
        d="M8 3v14.5a4.5 4.5 0 0 0 4.5 4.5M20.5 9v7a6 6 0 0 0 12 0V9m0 7v6M42 3v14.5a4.5 4.5 0 0 0 4.5 4.5M55 3v14.5a4.5 4.5 0 0 0 4.5 4.5M69 9v13"
      />
      <path className="beam-ink" d="M2.5 9H70" />
      <circle className="dot-ink" cx="69" cy="3.3" r="2" />
    </svg>
  );
}
