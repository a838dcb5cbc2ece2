// The loops of the workflow, one card for each slot, and the workflow as a whole.

import { useEffect, useRef, useState } from "react";

import { ask, setText } from "@shared/dom.js";
import { compact, count, rate, words } from "@shared/format.js";
import { sparkline } from "@shared/rates.js";

import { address } from "../api/client";
import { useNodeType } from "../catalog/store";
import { nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";
import { useView } from "../view";
import { act, hint, LABELS, loopActions, start, tell } from "./control";
import "./live.css";
import { ALL, loopKey } from "./model";
import { useRights } from "./rights";
import { Badge } from "./RunControls";
import { isLive, model, useLive } from "./store";
import type { LoopStatus, QueueNumbers, Status, Totals } from "./types";
import { useNumbers } from "./useNumbers";

export function Loops() {
  const status = useLive((state) => state.status);
  const live = useLive((state) => state.connection === "live");
  if (!status) return <p className="muted">Its loops are shown here when it has been saved and started.</p>;
  return (
    <section className="loops" aria-labelledby="loops-title">
      <h3 id="loops-title">Production</h3>
      <Facts status={status} live={live} />
      {status.loops.length === 0 && <p className="muted">It was never started, so it has no loops yet.</p>}
      <Letters status={status} />
      <ul>
        {status.loops.map((loop) => (
          <Loop key={loopKey(loop)} loop={loop} status={status} live={live} />
        ))}
      </ul>
      <Beginning status={status} live={live} />
    </section>
  );
}

/** What has failed for good is looked at on a page of its own. */
function Letters({ status: { workflow_id } }: { status: Status }) {
  const link = useNumbers<Totals, HTMLAnchorElement>(model.totals, ALL, paintLetters);
  const url = new URL(address("dead-letters"));
  url.searchParams.set("workflow_id", workflow_id);
  return (
    <a ref={link} className="letters-link" href={url.href} hidden>
      Dead letters of this workflow
    </a>
  );
}

function Facts({ status, live }: { status: Status; live: boolean }) {
  const ref = useNumbers<Totals, HTMLDListElement>(model.totals, ALL, paintFacts);
  return (
    <>
      <Spark started={status.activation > 0} />
      <dl className="live-facts" ref={ref}>
        <Fact name="Iterations/s" />
        <Fact name="Iterations" />
        <Fact name="In flight" />
        <Fact name="Failures" />
        <Fact name="Version">{status.version ?? "none yet"}</Fact>
        <Fact name="Activation">{status.activation || "none yet"}</Fact>
        <Fact name="Runners alive">{live ? status.runners_alive : "–"}</Fact>
      </dl>
    </>
  );
}

function Fact({ name, children }: { name: string; children?: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function paintLetters(link: HTMLAnchorElement, totals: Totals | undefined): void {
  link.hidden = !totals?.failures;
}

function paintFacts(list: HTMLDListElement, totals: Totals | undefined): void {
  const values = list.querySelectorAll("dd");
  setText(values[0], totals && isLive() ? rate(totals.perSecond) : "–");
  setText(values[1], totals ? count(totals.iterations) : "–");
  setText(values[2], totals ? count(totals.inFlight) : "–");
  setText(values[3], totals ? count(totals.failures) : "–");
  values[3]!.classList.toggle("bad", Boolean(totals?.failures));
}

/** The last minute; the number beside it says the same to everybody. */
function Spark({ started }: { started: boolean }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const spark = sparkline();
    ref.current!.append(spark.root);
    const draw = () => spark.draw(model.meter.history);
    draw();
    const timer = setInterval(draw, 1000);
    return () => {
      clearInterval(timer);
      spark.root.remove();
    };
  }, []);
  return <div className="loops-spark" hidden={!started} ref={ref} />;
}

/** Nobody is expected to run a loop in these. */
const AT_REST = ["stopped", "completed", "failed"];

interface LoopProps {
  loop: LoopStatus;
  status: Status;
  live: boolean;
}

function Loop({ loop, status, live }: LoopProps) {
  const ref = useNumbers<Totals, HTMLParagraphElement>(model.loops, loopKey(loop), paintLoop);
  const title = useTitle(loop);
  const alone = loop.isolated ? "in a process of its own" : "";
  const reason = [words(loop.reason), alone].filter(Boolean).join(", ");
  return (
    <li className="loop">
      <div className="loop-head">
        <button type="button" className="link" onClick={() => useView.getState().focusNode(loop.loop)}>
          {title}
        </button>
        <Badge state={loop.state} live={live} />
      </div>
      {live && reason && <small className="reason">{reason}</small>}
      <p className="loop-numbers" ref={ref}>
        <span />
        <span />
        <span />
        <span className="bad" />
      </p>
      <Inbox loop={loop.loop} />
      <small className="muted runner">{live ? (loop.runner ?? (AT_REST.includes(loop.state) ? "" : "no runner has it")) : "–"}</small>
      <LoopButtons loop={loop} status={status} live={live} title={title} />
    </li>
  );
}

function useTitle({ loop, slot }: LoopStatus): string {
  const node = useDocument((state) => nodeOf(state.document, loop));
  const type = useNodeType(node?.type ?? "");
  const name = node?.data?.label || type?.label;
  return [name ? `${name} (${loop})` : loop, slot ? `slot ${slot}` : ""].filter(Boolean).join(", ");
}

function paintLoop(root: HTMLParagraphElement, totals: Totals | undefined): void {
  const [iterations, speed, inFlight, failures] = root.children;
  setText(iterations, totals ? `${compact(totals.iterations)} done` : "");
  setText(speed, totals && isLive() ? `${rate(totals.perSecond)}/s` : "");
  setText(inFlight, totals?.inFlight ? `${compact(totals.inFlight)} in flight` : "");
  setText(failures, totals?.failures ? `${compact(totals.failures)} failed` : "");
}

function Inbox({ loop }: { loop: string }) {
  const ref = useNumbers<QueueNumbers, HTMLElement>(model.queues, `!inbox:${loop}`, paintInbox);
  return <small className="muted" ref={ref} />;
}

function paintInbox(root: HTMLElement, queue: QueueNumbers | undefined): void {
  setText(root, queue?.depth ? `${compact(queue.depth)} in its inbox` : "");
}

function LoopButtons({ loop, status, live, title }: LoopProps & { title: string }) {
  const operate = useRights((rights) => rights.operate);
  const [busy, setBusy] = useState(false);
  const offered = operate ? loopActions(loop, status) : [];
  if (!offered.length || status.loops.length < 2) return null;
  return (
    <p className="buttons">
      {offered.map((action) => (
        <button
          key={action}
          type="button"
          className="quiet small"
          disabled={!live || busy}
          title={hint(action)}
          aria-label={`${LABELS[action]} loop ${title}`}
          onClick={() => {
            setBusy(true);
            void act(action, `the loop ${title}`, loop.loop).finally(() => setBusy(false));
          }}
        >
          {LABELS[action]}
        </button>
      ))}
    </p>
  );
}

function Beginning({ status, live }: { status: Status; live: boolean }) {
  const operate = useRights((rights) => rights.operate);
  if (!operate || !status.activation || !["stopped", "failed"].includes(status.status)) return null;
  return (
    <button type="button" className="quiet" disabled={!live} onClick={() => void beginAnew(status)}>
      Start from the beginning
    </button>
  );
}

async function beginAnew({ name }: Status): Promise<void> {
  const text = "A new activation begins: its sources start over, and what its nodes remember is forgotten.";
  if (!(await ask(`Start ${name} from the beginning?`, text, "Start from the beginning"))) return;
  try {
    await start({ from: "beginning" });
  } catch (error) {
    tell(error, `Start ${name}`);
  }
}
