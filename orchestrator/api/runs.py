"""`/graph/run` and `/graph/runs/...`: one pass through a graph."""

from dataclasses import asdict
from functools import partial
from typing import Any

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orchestrator.api.asynchronous import Work, answered, posted
from orchestrator.api.base import PageSerializer, ResourceView, page, valid
from orchestrator.api.graph_serializers import (
    CheckpointsAnswer,
    CheckpointsQuery,
    ForkRequest,
    LogAnswer,
    LogQuery,
    RetryRequest,
    RunAnswer,
    RunFilterSerializer,
    RunList,
    RunListRow,
    RunRequest,
    RunState,
    StepSerializer,
    TimelineAnswer,
    TimelineQuery,
)
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.models import Run
from orchestrator.security.actors import Actor
from orchestrator.services import run_views, runs
from orchestrator.services.run_views import RunFilter, Turn
from orchestrator.services.runs import RunWish
from storage.runs import ENDED, RunRecord

_RUN = RunRequest()
_ERRORS = dict.fromkeys((404, 409), ErrorSerializer)
_COLUMNS = ("position", "number", "node", "started_ms", "seconds", "port", "failed", "round")
_AGAIN = {202: RunState, **_ERRORS, 503: ErrorSerializer}


@csrf_exempt  # checked with the session in `asking`; a bearer token needs no check
async def run(request: HttpRequest) -> HttpResponse:
    """Run a graph; it waits in the event loop for the worker that does it."""
    return await answered(request, _prepare)


def _prepare(plain: HttpRequest) -> Work:
    actor, wanted = posted(plain, _RUN)
    wait = wanted.pop("wait")
    return partial(_run, actor, wait, *runs.create(actor, RunWish(**wanted)))


async def _run(actor: Actor, wait: bool, found: RunRecord, created: bool) -> Any:
    if created or found.status not in ENDED:
        await runs.execute(found, created=created, wait=wait)
    look = database_sync_to_async(_outcome, thread_sensitive=False)
    return await look(actor, found.id, created)


def _outcome(actor: Actor, run_id: str, created: bool) -> tuple[dict[str, Any], int]:
    found = runs.get(actor, run_id)
    steps = runs.log(actor, run_id)
    body = {**_state(found), "log": [asdict(step) for step in steps], "created": created}
    return RunAnswer(body).data, 200 if found.status in ENDED else 202


class _RunSchema(APIView):
    """How `run` is described at `/schema/`; it serves nothing."""

    @extend_schema(
        operation_id="graph_run",
        request=RunRequest,
        responses={
            200: RunAnswer,
            202: RunAnswer,
            **dict.fromkeys((400, 404, 409, 413, 503), ErrorSerializer),
        },
    )
    def post(self, request: Request) -> Response:
        """Run a graph, and wait for its end at most 30 seconds: 202 when it goes on."""
        raise NotImplementedError


run.cls, run.initkwargs = _RunSchema, {}  # type: ignore[attr-defined]


class StateView(ResourceView):
    @extend_schema(operation_id="graph_state", responses={200: RunState, 404: ErrorSerializer})
    def get(self, request: Request, run_id: str) -> Response:
        """Return a run with its newest state, also while it goes on."""
        return _told(runs.get(self.actor, run_id))


class RunsView(ResourceView):
    @extend_schema(
        operation_id="graph_runs_list",
        parameters=[RunFilterSerializer, PageSerializer],
        responses=RunList,
    )
    def get(self, request: Request) -> Response:
        """List runs, newest first. `by_status` counts those that match in each status."""
        wanted = RunFilter(**valid(RunFilterSerializer, request.query_params))
        rows, rest = page(run_views.list_all(self.actor, wanted), request)
        rest["by_status"] = run_views.count_by_status(self.actor, wanted)
        return Response({"results": RunListRow(map(_row, rows), many=True).data, **rest})


class RunView(ResourceView):
    @extend_schema(responses={200: RunState, 404: ErrorSerializer})
    def get(self, request: Request, run_id: str) -> Response:
        """Return a run with its newest state."""
        return _told(runs.get(self.actor, run_id))

    @extend_schema(responses={204: None, **_ERRORS})
    def delete(self, request: Request, run_id: str) -> Response:
        """Remove a run that has ended, with its log and checkpoints."""
        runs.delete(self.actor, run_id)
        return Response(status=204)


class CancelView(ResourceView):
    @extend_schema(request=None, responses={202: RunState, **_ERRORS})
    def post(self, request: Request, run_id: str) -> Response:
        """Cancel a run; its worker ends the node that is executing."""
        return _told(runs.cancel(self.actor, run_id), 202)


class ResumeView(ResourceView):
    @extend_schema(request=None, responses=_AGAIN)
    def post(self, request: Request, run_id: str) -> Response:
        """Let a run that failed or was cancelled go on from its newest checkpoint."""
        return _told(runs.resume(self.actor, run_id), 202)


class RetryView(ResourceView):
    @extend_schema(request=RetryRequest, responses={**_AGAIN, 400: ErrorSerializer})
    def post(self, request: Request, run_id: str) -> Response:
        """Try a run that failed again, from where it failed or from the start."""
        origin = valid(RetryRequest, request.data)["origin"]
        return _told(runs.retry(self.actor, run_id, origin), 202)


class ForkView(ResourceView):
    @extend_schema(request=ForkRequest, responses={**_AGAIN, 400: ErrorSerializer})
    def post(self, request: Request, run_id: str) -> Response:
        """Begin a new run at a checkpoint of this one."""
        checkpoint = valid(ForkRequest, request.data)["checkpoint"]
        return _told(runs.fork(self.actor, run_id, checkpoint), 202)


class LogView(ResourceView):
    @extend_schema(parameters=[LogQuery], responses={200: LogAnswer, 404: ErrorSerializer})
    def get(self, request: Request, run_id: str) -> Response:
        """Return steps of a run, in the order they ended; `next` is the `after` of what follows."""
        part = valid(LogQuery, request.query_params)
        steps = runs.log(self.actor, run_id, **part)
        rows = StepSerializer([asdict(step) for step in steps], many=True).data
        following = steps[-1].position if len(steps) == part["limit"] else None
        return Response({"results": rows, "next": following})


class TimelineView(ResourceView):
    @extend_schema(
        parameters=[TimelineQuery], responses={200: TimelineAnswer, 404: ErrorSerializer}
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Return steps of a run as they are drawn, each a list; `columns` names what is in it."""
        part = valid(TimelineQuery, request.query_params)
        turns = run_views.timeline(self.actor, run_id, **part)
        following = turns[-1].position if len(turns) == part["limit"] else None
        rows = list(map(_drawn, turns))
        return Response({"columns": _COLUMNS, "results": rows, "next": following})


class CheckpointsView(ResourceView):
    @extend_schema(
        parameters=[CheckpointsQuery], responses={200: CheckpointsAnswer, 404: ErrorSerializer}
    )
    def get(self, request: Request, run_id: str) -> Response:
        """List the checkpoints of a run, oldest first; `next` is the `after` of what follows."""
        part = valid(CheckpointsQuery, request.query_params)
        found = run_views.checkpoints(self.actor, run_id, **part)
        following = found[-1].number if len(found) == part["limit"] else None
        return Response(CheckpointsAnswer({"results": found, "next": following}).data)


def _told(found: RunRecord, status: int = 200) -> Response:
    return Response(RunState(_state(found)).data, status=status)


def _state(found: RunRecord) -> dict[str, Any]:
    return {**asdict(found), "run_id": found.id, "visited": runs.visited(found.id)}


def _row(row: Run) -> dict[str, Any]:
    names = ("status", "steps", "attempt", "message", "error", "parent")
    moments = ("created_at", "started_at", "ended_at")
    values = {name: getattr(row, name) for name in (*names, *moments)}
    return {**values, "run_id": row.pk, "graph_id": row.graph_id, "graph_name": row.graph.name}


def _drawn(turn: Turn) -> list[Any]:
    started = round(turn.started_at.timestamp() * 1000, 1)
    rest = (round(turn.seconds, 6), turn.port or None, turn.failed, turn.round)
    return [turn.position, turn.number, turn.node, started, *rest]
