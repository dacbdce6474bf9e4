/** A key, or several in a row, as drawn on the keyboard. */
export function Keycap({ keys }: { keys: string | readonly string[] }) {
  return (
    <>
      {(typeof keys === "string" ? [keys] : keys).map((key) => (
        <kbd key={key}>{key}</kbd>
      ))}
    </>
  );
}
