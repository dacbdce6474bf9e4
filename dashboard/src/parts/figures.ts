/** Figures as people read them. Everything here is pure: milliseconds and counts in, short English out. */

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** How long ago, in one unit: "now", "12s", "4m", "3h", "5d". A clock that runs ahead of the server's gives "now", not a negative age. */
export function ageWords(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  if (ms < second) return "now";
  if (ms < minute) return `${Math.floor(ms / second)}s`;
  if (ms < hour) return `${Math.floor(ms / minute)}m`;
  if (ms < day) return `${Math.floor(ms / hour)}h`;
  return `${Math.floor(ms / day)}d`;
}

/** A span of time on a clock: "0:20", "13:26", "1:02:03"; below ten seconds with a tenth: "0.4 s". */
export function durationWords(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return "";
  if (ms < 9_950) return `${(ms / second).toFixed(1)} s`;
  const seconds = Math.round(ms / second);
  const pad = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}

/** The span for `<time datetime>`, which wants ISO 8601. */
export const durationIso = (ms: number): string => `PT${(Math.max(0, ms) / second).toFixed(1)}S`;

// Made once: making one costs more than drawing the row that it is for.
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD", minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** A count with separators, or short ("1.9M") where there is no room. */
export function countWords(count: number, short = false): string {
  if (!Number.isFinite(count)) return "";
  if (!short) return count.toLocaleString("en");
  return compact.format(count);
}

/** Dollars. Something that cost less than a cent did cost something, so it is not "$0.00". */
export function moneyWords(usd: number): string {
  if (!Number.isFinite(usd)) return "";
  if (usd > 0 && usd < 0.005) return "<$0.01";
  return dollars.format(usd);
}
