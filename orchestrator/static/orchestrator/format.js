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

const AGES = [[86_400, "d"], [3600, "h"], [60, "min"]];

/** Roughly how long: `12 s`, `3 min`, `4 h`, `2 d`. */
export function age(seconds) {
  const [size, unit] = AGES.find(([least]) => seconds >= least) ?? [1, "s"];
  return `${whole.format(Math.max(0, Math.floor(seconds / size)))} ${unit}`;
}

export const ago = (value, now = Date.now()) => `${age((now - new Date(value)) / 1000)} ago`;

const SIZES = [[1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"]];

export function bytes(number) {
  const [size, unit] = SIZES.find(([least]) => number >= least) ?? [1, "B"];
  return `${precise.format(number / size)} ${unit}`;
}

/** `1 letter`, `12 letters`. */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
