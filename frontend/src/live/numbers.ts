// Values by key, each with listeners of its own: who shows one counter hears of no other.

const BUDGET = 4; // ms of a frame; what does not fit is painted in the next one

type Listener = () => void;

export class Numbers<T extends object> {
  private values = new Map<string, T>();
  private listeners = new Map<string, Set<Listener>>();
  private changed = new Set<string>();
  private scheduled = false;

  get(key: string): T | undefined {
    return this.values.get(key);
  }

  keys(): Iterable<string> {
    return this.values.keys();
  }

  set(key: string, value: T): void {
    const before = this.values.get(key);
    if (before && same(before, value)) return;
    this.values.set(key, value);
    this.touch(key);
  }

  /** Keep only these keys. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.values.keys()) {
      if (keys.has(key)) continue;
      this.values.delete(key);
      this.touch(key);
    }
  }

  /** Let everybody paint again, because what the values mean has changed. */
  touchAll(): void {
    for (const key of this.listeners.keys()) this.touch(key);
  }

  subscribe(key: string, listener: Listener): () => void {
    const all = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, all.add(listener));
    return () => {
      all.delete(listener);
      if (!all.size && this.listeners.get(key) === all) this.listeners.delete(key);
    };
  }

  private touch(key: string): void {
    if (!this.listeners.has(key)) return;
    this.changed.add(key);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    const until = performance.now() + BUDGET;
    for (const key of this.changed) {
      if (performance.now() > until) break;
      this.changed.delete(key);
      this.listeners.get(key)?.forEach((listener) => listener());
    }
    if (this.changed.size) this.schedule();
  }
}

function same(a: object, b: object): boolean {
  const other = b as Record<string, unknown>;
  return Object.entries(a).every(([name, value]) => value === other[name]);
}
