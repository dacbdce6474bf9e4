/** How many things wait for the person: the one number that is the same everywhere. Nothing at 0. */
export function NeedsPill({ count, inline = false }: { count: number; inline?: boolean }) {
  if (count <= 0) return null;
  const words = `${count.toLocaleString("en")} ${count === 1 ? "needs" : "need"} you`;
  return (
    <span className={inline ? "pill pill--inline" : "pill"} title={words}>
      <span aria-hidden>{count > 999 ? "999+" : count}</span>
      <span className="vh"> {words}</span>
    </span>
  );
}
