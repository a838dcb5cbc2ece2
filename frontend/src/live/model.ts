// What production does, as numbers that are painted one by one.

import { RateMeter } from "@shared/rates.js";
import { apply, keepCounters, totals, urgency } from "@shared/status.js";

import { Numbers } from "./numbers";
import type { LiveEvent, LoopStatus, NodeNumbers, QueueNumbers, QueueRow, QueueSample, Status, Totals } from "./types";

export const ALL = "all";

export const loopKey = ({ loop, slot }: { loop: string; slot: number }) => JSON.stringify([loop, slot]);

export class LiveModel {
  readonly nodes = new Numbers<NodeNumbers>();
  readonly queues = new Numbers<QueueNumbers>();
  readonly loops = new Numbers<Totals>();
  readonly totals = new Numbers<Totals>();
  readonly meter = new RateMeter();
  private meters = new Map<string, RateMeter>();
  private loopMeters = new Map<string, RateMeter>();
  private status: Status | null = null;

  /** Take the whole state; counters of one that came without them are kept. */
  takeStatus(status: Status): void {
    keepCounters(this.status, status);
    if (this.status && this.status.activation !== status.activation) this.interrupt();
    this.status = status;
    const ids = new Set(status.loops.flatMap((loop) => Object.keys(loop.nodes)));
    this.nodes.retain(ids);
    for (const id of ids) this.sum(id);
    this.loops.retain(new Set(status.loops.map(loopKey)));
    status.loops.forEach((loop) => this.paintLoop(loop));
    this.paintTotals();
  }

  /** Take an event; false when only the whole state will do. */
  takeEvent(event: LiveEvent): boolean {
    if (!this.status) return true;
    if (event.type === "queue_stats") {
      for (const [name, sample] of Object.entries(event.queues ?? {})) this.takeSample(name, sample);
      return true;
    }
    const enough = apply(this.status, event);
    if (event.type === "node_stats") {
      for (const id of Object.keys(event.nodes ?? {})) this.sum(id);
      const loop = this.status.loops.find((l) => l.loop === event.loop && l.slot === event.slot);
      if (loop) this.paintLoop(loop);
      this.paintTotals();
    }
    return enough;
  }

  /** Take what `/queues/` says, which has the limits that samples lack. */
  takeQueues(rows: readonly QueueRow[]): void {
    this.queues.retain(new Set(rows.map((row) => row.name)));
    for (const row of rows) {
      const { depth, bytes, dropped, fill } = row;
      this.queues.set(row.name, {
        ...{ depth, bytes, dropped, fill },
        inPerSecond: row.in_per_second,
        outPerSecond: row.out_per_second,
        maxLength: row.max_length,
        maxBytes: row.max_bytes,
      });
    }
  }

  knowsQueues(names: Iterable<string>): boolean {
    return [...names].every((name) => this.queues.get(name));
  }

  /** Look at the totals once a second: from these come the rates, also of what stands still. */
  sample(): void {
    if (!this.status) return;
    for (const id of this.nodes.keys()) {
      const node = this.nodes.get(id)!;
      this.nodes.set(id, { ...node, perSecond: sampled(this.meters, id, node.count) });
    }
    for (const loop of this.status.loops) {
      sampled(this.loopMeters, loopKey(loop), loop.iterations);
      this.paintLoop(loop);
    }
    this.meter.sample(totals(this.status).iterations);
    this.paintTotals();
  }

  /** What happened while nobody listened is not known. */
  interrupt(): void {
    this.meter.interrupt();
    for (const meter of [...this.meters.values(), ...this.loopMeters.values()]) meter.interrupt();
  }

  /** Let everything be painted again: what is shown was live, or is so again. */
  repaint(): void {
    for (const numbers of [this.nodes, this.queues, this.loops, this.totals]) numbers.touchAll();
  }

  private sum(id: string): void {
    const perSecond = this.meters.get(id)?.perSecond ?? 0;
    const sum = { count: 0, failed: 0, perSecond, lastMs: 0, executing: false, lastError: "", state: "", reason: "" };
    for (const loop of this.status?.loops ?? []) {
      const node = loop.nodes[id];
      if (!node) continue;
      sum.count += node.count;
      sum.failed += node.failed;
      sum.lastMs = Math.max(sum.lastMs, node.last_ms);
      sum.executing ||= node.executing;
      sum.lastError ||= node.last_error;
      if (sum.state && urgency(loop.state) >= urgency(sum.state)) continue;
      sum.state = loop.state;
      sum.reason = loop.reason;
    }
    this.nodes.set(id, sum);
  }

  private paintLoop(loop: LoopStatus): void {
    const { iterations, failures, in_flight } = loop;
    const perSecond = this.loopMeters.get(loopKey(loop))?.perSecond ?? 0;
    this.loops.set(loopKey(loop), { iterations, failures, inFlight: in_flight, perSecond });
  }

  private paintTotals(): void {
    if (this.status) this.totals.set(ALL, { ...totals(this.status), perSecond: this.meter.perSecond });
  }

  private takeSample(name: string, sample: QueueSample): void {
    const known = this.queues.get(name);
    const { maxLength, maxBytes } = known ?? { maxLength: null, maxBytes: null };
    const { depth, bytes, dropped } = sample;
    const shares = [maxLength && depth / maxLength, maxBytes && bytes / maxBytes].filter((share) => share !== null);
    this.queues.set(name, {
      ...{ depth, bytes, dropped, maxLength, maxBytes },
      inPerSecond: sample.in_per_second,
      outPerSecond: sample.out_per_second,
      fill: shares.length ? Math.max(...shares) : null,
    });
  }
}

function sampled(meters: Map<string, RateMeter>, key: string, total: number): number {
  let meter = meters.get(key);
  if (!meter) meters.set(key, (meter = new RateMeter()));
  meter.sample(total);
  return meter.perSecond;
}
