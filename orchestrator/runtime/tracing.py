"""Traces: OpenTelemetry spans of iterations and nodes, for some of the items.

A trace follows an item from its producer to the last loop: where it is, is kept in the item's
metadata as `traceparent`, with which it goes through queues. A loop begins so many traces a second;
what comes from another loop is followed if it was followed there.
"""

import os
import socket
import threading
import time
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars, unbind_contextvars

from nodes.contract import NodeKind, NodeOutput
from orchestrator.conf import orchestrator_settings
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.job import LoopJob
from orchestrator.execution.plan import Call, Step
from orchestrator.execution.traces import Traces
from orchestrator.security.secret_values import scrub

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

TRACEPARENT = "traceparent"
FLUSH = 1.5
"""Seconds that a process waits at its end for what it has not sent."""
_NAME = "orchestrator"
_lock = threading.Lock()
_current: "ContextVar[Span | None]" = ContextVar("iteration", default=None)
"""The span of the iteration that is walked here, if it is followed."""


class Followed(NodeOutput):
    """What a producer gave, when it is followed; nodes behind it give items of the plain class."""

    __slots__ = ("span",)

    def __init__(self, item: NodeOutput, span: "Span") -> None:
        super().__init__(item.id, item.data, {**item.metadata, TRACEPARENT: _header(span)})
        self.span = span


class Allowance:
    """So many traces may begin in each second."""

    def __init__(self, per_second: int) -> None:
        self._per_second = self._left = per_second
        self._until = 0.0

    def take(self) -> bool:
        """Tell whether one more may begin now, and count it."""
        now = time.monotonic()
        if now >= self._until:
            self._until, self._left = now + 1, self._per_second
        self._left -= 1
        return self._left >= 0


class LoopTraces:
    """See `Traces`."""

    def __init__(self, job: LoopJob, tracer: "Tracer", per_second: int) -> None:
        self._tracer = tracer
        self._allowance = Allowance(per_second)
        self._reads = job.loop.reads if job.writers else None
        """The queue that other loops write: they have chosen what of it is followed."""
        scope = job.scope
        self._name = f"iteration {scope.loop}"
        names = ("workflow", "version", "activation", "loop", "slot")
        self._about = {f"{_NAME}.{name}": getattr(scope, name) for name in names}

    def around(self, step: Step, call: Call) -> Call:
        if step.node.kind is NodeKind.PRODUCER:
            return self._producing(step, call)

        def traced(item: NodeOutput, *rest: Any) -> Any:
            parent = _current.get()
            if parent is None:
                return call(item, *rest)
            return self._spanned(step, call, parent, item, *rest)

        return traced  # type: ignore[return-value]

    def _producing(self, step: Step, call: Call) -> Call:
        async def produced(*args: Any) -> Any:
            begun = time.time_ns()
            item = await call(*args)
            if type(item) is not NodeOutput or not self._allowance.take():
                return item
            span = self._start(self._name, None, self._of_item(item), start_time=begun)
            if not span.is_recording():
                return item
            own = self._start(_title(step), span, _of_node(step), start_time=begun)
            own.end()
            return Followed(item, span)

        return produced

    async def _spanned(
        self, step: Step, call: Call, parent: "Span", item: NodeOutput, *rest: Any
    ) -> Any:
        from opentelemetry import context, trace

        kind = trace.SpanKind.PRODUCER if step.node.queue_role == "writer" else None
        span = self._start(_title(step), parent, _of_node(step), kind=kind)
        item = NodeOutput(item.id, item.data, {**item.metadata, TRACEPARENT: _header(span)})
        token = context.attach(trace.set_span_in_context(span))  # for what a node measures itself
        try:
            return await call(item, *rest)
        except Exception as error:
            _fail(span, type(error).__name__, str(error))
            raise
        finally:
            context.detach(token)
            span.end()

    def begin(self, context: ExecutionContext) -> None:
        span = context.item.span if type(context.item) is Followed else self._entered(context)
        if span is None or not span.is_recording():
            return
        context.span = span
        _current.set(span)
        bind_contextvars(trace_id=f"{span.get_span_context().trace_id:032x}")

    def _entered(self, context: ExecutionContext) -> "Span | None":
        """Follow what was followed where it comes from, and some of what comes from nowhere."""
        parent = _parent(context.item)
        if parent is None and not (self._may_begin(context) and self._allowance.take()):
            return None
        return self._begin_entry(context, parent)  # which records nothing below what does not

    def _may_begin(self, context: ExecutionContext) -> bool:
        """Tell whether this is the beginning of an item's way."""
        entry = context.entry
        if entry is None:
            return context.flushed
        return not context.attempts and entry.queue != self._reads

    def _begin_entry(self, context: ExecutionContext, parent: Any) -> "Span":
        from opentelemetry.trace import SpanKind

        about = self._of_item(context.item)
        if context.born:
            about[f"{_NAME}.age_seconds"] = round(max(0.0, time.time() - context.born), 6)
        return self._start(self._name, parent, about, kind=SpanKind.CONSUMER)

    def leave(self) -> None:
        if _current.get() is not None:
            _current.set(None)
            unbind_contextvars("trace_id")

    def end(self, context: ExecutionContext) -> None:
        span, failure = context.span, context.failure
        if span is None:
            return
        if failure is not None:
            again = context.delayed is not None
            span.set_attribute(f"{_NAME}.outcome", "retried" if again else "failed")
            span.set_attribute(f"{_NAME}.failed_node", failure.node_id)
            _fail(span, failure.error_type, failure.message)
        span.end()

    def _of_item(self, item: NodeOutput) -> dict[str, Any]:
        return {**self._about, f"{_NAME}.item": item.id}

    def _start(
        self, name: str, parent: Any, attributes: dict[str, Any], kind: Any = None, **options: Any
    ) -> "Span":
        """Begin a span below another, or below what a header says; None for a new trace."""
        from opentelemetry import trace
        from opentelemetry.context import Context

        above = Context() if parent is None else trace.set_span_in_context(parent, Context())
        kind = kind or trace.SpanKind.INTERNAL
        return self._tracer.start_span(name, above, kind, attributes, **options)


def _title(step: Step) -> str:
    return f"{step.type} {step.id}"


def _of_node(step: Step) -> dict[str, Any]:
    return {f"{_NAME}.node": step.id, f"{_NAME}.node_type": step.type}


def _fail(span: "Span", kind: str, message: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, scrub(f"{kind}: {message}")[:500]))


def _header(span: "Span") -> str:
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def _parent(item: NodeOutput) -> "Span | None":
    """Return what an item's header names; None without a header that is one."""
    header = item.metadata.get(TRACEPARENT)
    if not isinstance(header, str):
        return None
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found = TraceContextTextMapPropagator().extract({TRACEPARENT: header})
    span = trace.get_current_span(found)
    return span if span.get_span_context().is_valid else None


def traces_of(job: LoopJob) -> Traces | None:
    """Return what follows the items of a slot; None when nothing is to be followed."""
    per_second = orchestrator_settings().TRACES_PER_SECOND
    return LoopTraces(job, _provider().get_tracer(_NAME), per_second) if per_second else None


def _provider() -> Any:
    with _lock:  # loops of threads begin at once
        return _open()


@lru_cache(maxsize=1)
def _open() -> Any:
    """Make what sends spans, as the variables `OTEL_*` say; once in each process, after a fork."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about: dict[str, Any] = {"host.name": socket.gethostname(), "process.pid": os.getpid()}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        about["service.name"] = "workflow-orchestrator"
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def flush() -> None:
    """Send what has not been sent, for at most FLUSH seconds; the process ends."""
    if _open.cache_info().currsize:
        sending = threading.Thread(target=_open().shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH)
