// From moments to places between 0 and 1. Long pauses, such as before a run was resumed, are folded.

const LONG_PAUSE = 2000;
const SHARE = 0.25; // of the time in which something happened: a longer pause is folded
const FOLDED = 0.04; // the width of a folded pause

/** Return the spans in which something happened, in order and without overlaps. */
function busy(steps) {
  const spans = steps.map(({ start, seconds }) => [start, start + seconds * 1000]).sort((a, b) => a[0] - b[0]);
  const merged = [];
  for (const [from, to] of spans) {
    const last = merged.at(-1);
    if (last && from <= last[1] + LONG_PAUSE) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Join again what is not far apart compared with the whole. */
function joined(spans) {
  const total = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  const result = [];
  for (const [from, to] of spans) {
    const last = result.at(-1);
    if (last && from - last[1] <= total * SHARE) last[1] = to;
    else result.push([from, to]);
  }
  return result;
}

export class Scale {
  /** `now` extends the last span, while the run goes on. */
  constructor(steps, now = null) {
    const spans = joined(busy(steps));
    if (now !== null && spans.length) spans.at(-1)[1] = Math.max(spans.at(-1)[1], now);
    this.pauses = Math.max(0, spans.length - 1);
    const folded = Math.min(FOLDED, 0.5 / Math.max(1, this.pauses));
    const total = spans.reduce((sum, [from, to]) => sum + to - from, 0) || 1;
    const room = 1 - this.pauses * folded;
    let x = 0;
    this.spans = spans.map(([from, to]) => {
      const span = { from, to, x, width: ((to - from) / total) * room };
      x += span.width + folded;
      return span;
    });
    this.folded = folded;
    this.perMs = room / total;
  }

  get begin() {
    return this.spans[0]?.from ?? 0;
  }

  x(moment) {
    const span = this.spans.findLast(({ from }) => from <= moment) ?? this.spans[0];
    if (!span) return 0;
    return span.x + Math.min(Math.max(0, moment - span.from) * this.perMs, span.width);
  }

  /** Return round moments for an axis: `{x, text}`; `most` of them at most. */
  ticks(most, text) {
    const marks = [];
    const total = this.spans.reduce((sum, { from, to }) => sum + to - from, 0);
    const step = round(total / Math.max(1, most));
    for (const { from, to } of this.spans) {
      const first = Math.ceil((from - this.begin) / step) * step;
      for (let at = first; this.begin + at <= to; at += step) {
        marks.push({ x: this.x(this.begin + at), text: text(at / 1000, step / 1000) });
        if (marks.length > 4 * most) return marks;
      }
    }
    return marks;
  }

  /** Return the folded pauses: `{x, width, seconds}`. */
  folds() {
    return this.spans.slice(1).map((span, i) => {
      const before = this.spans[i];
      return { x: before.x + before.width, width: this.folded, seconds: (span.from - before.to) / 1000 };
    });
  }
}

const MINUTES = [60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000];

function round(ms) {
  if (ms > 30_000) return MINUTES.find((size) => size >= ms) ?? Math.ceil(ms / 86_400_000) * 86_400_000;
  const power = 10 ** Math.floor(Math.log10(Math.max(ms, 1e-3)));
  return [1, 2, 5, 10].map((n) => n * power).find((size) => size >= ms);
}
