// Numbers and times for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (number) => whole.format(number);
export const compact = (number) => (number < 10_000 ? whole.format(number) : short.format(number));
export const rate = (number) => (number < 1000 ? precise.format(number) : short.format(number));

export function duration(seconds) {
  if (seconds < 1e-3) return `${precise.format(seconds * 1e6)} µs`;
  if (seconds < 1) return `${precise.format(seconds * 1e3)} ms`;
  return `${precise.format(seconds)} s`;
}

/** `waiting_for_runner` -> `waiting for runner`. */
export const words = (name) => String(name ?? "").replaceAll("_", " ");

export const time = (value) => new Date(value).toLocaleString();
