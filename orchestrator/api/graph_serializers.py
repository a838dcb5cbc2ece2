"""The shapes of graphs, runs and tools, and of what is asked of them."""

from rest_framework import serializers

from orchestrator.api.base import MAX_PAGE
from orchestrator.api.serializers import (
    MAX_INTEGER,
    JsonObject,
    PageOf,
    ProblemSerializer,
    Strict,
)
from orchestrator.models import Run
from orchestrator.services.run_views import TIMELINE_SENT

ID = r"^[-a-zA-Z0-9_]{1,64}$"
MAX_STEPS = 100_000
MAX_SECONDS = 7 * 24 * 3600


class GraphRow(serializers.Serializer):
    """A graph in a list."""

    graph_id = serializers.CharField()
    name = serializers.CharField()
    digest = serializers.CharField()
    created_at = serializers.DateTimeField()


class GraphList(PageOf):
    results = GraphRow(many=True)


class GraphCreated(GraphRow):
    """What `POST /graph/create` answers; `warnings` do not keep it from running."""

    warnings = ProblemSerializer(many=True)


class GraphDetail(GraphCreated):
    """A graph with its definition, exactly as it was sent, and a drawing of it in Mermaid."""

    definition = serializers.JSONField()
    mermaid = serializers.CharField()


class RunRequest(Strict):
    """The body of `POST /graph/run`. `timeout` is in seconds; null is no limit.

    `checkpoint_every` counts steps; null: only where a node asks for a checkpoint.
    """

    graph_id = serializers.RegexField(ID)
    initial_state = JsonObject(default=dict)
    wait = serializers.BooleanField(default=True)
    max_steps = serializers.IntegerField(min_value=1, max_value=MAX_STEPS, default=None)
    timeout = serializers.FloatField(
        min_value=0.001, max_value=MAX_SECONDS, allow_null=True, default=None
    )
    checkpoint_every = serializers.IntegerField(
        min_value=1, max_value=MAX_STEPS, allow_null=True, default=1
    )
    idempotency_key = serializers.CharField(
        max_length=200, trim_whitespace=False, allow_null=True, default=None
    )


class RunFilterSerializer(serializers.Serializer):
    graph_id = serializers.RegexField(ID, required=False)
    status = serializers.ChoiceField(Run.Status.choices, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    search = serializers.CharField(required=False, max_length=200)


class RunRow(serializers.Serializer):
    """A run in a list. `parent` is the checkpoint that it was forked from."""

    run_id = serializers.CharField()
    graph_id = serializers.CharField()
    status = serializers.ChoiceField(Run.Status.choices)
    steps = serializers.IntegerField()
    attempt = serializers.IntegerField()
    message = serializers.CharField(allow_blank=True)
    error = serializers.JSONField(allow_null=True)
    parent = serializers.JSONField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class RunListRow(RunRow):
    """A run in a list, with the name of its graph."""

    graph_name = serializers.CharField()


class RunList(PageOf):
    """Runs, and how many of those that match there are in each status."""

    results = RunListRow(many=True)
    by_status = serializers.DictField(child=serializers.IntegerField())


class RunState(RunRow):
    """A run with its newest state, and what was asked of it; `owner` is the worker that has it.

    `visited` are the nodes in the order they ended.
    """

    state = serializers.JSONField()
    initial_state = serializers.JSONField()
    entry = serializers.CharField()
    max_steps = serializers.IntegerField()
    timeout = serializers.FloatField(allow_null=True)
    checkpoint_every = serializers.IntegerField(allow_null=True)
    owner = serializers.CharField(allow_blank=True)
    cancel_requested = serializers.BooleanField()
    visited = serializers.ListField(child=serializers.CharField())


class StepSerializer(serializers.Serializer):
    """One node's turn. `changes` tell how it changed the state: each has a `path`, an `op` (add,
    remove or change), and what was there `before` and `after`."""

    position = serializers.IntegerField()
    number = serializers.IntegerField()
    node = serializers.CharField()
    round = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    seconds = serializers.FloatField()
    port = serializers.CharField(allow_null=True)
    changes = serializers.JSONField()
    error = serializers.CharField(allow_null=True)


class RunAnswer(RunState):
    """What `POST /graph/run` answers, with the log as far as it goes, at most 200 steps."""

    log = StepSerializer(many=True)
    created = serializers.BooleanField()


class RetryRequest(Strict):
    """The body of `/graph/runs/<id>/retry`."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Add `from`, which Python does not allow as a name."""
        origin = serializers.ChoiceField(("error", "start"), source="origin", default="error")
        return {**super().get_fields(), "from": origin}


class ForkRequest(Strict):
    """The body of `/graph/runs/<id>/fork`."""

    checkpoint = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER)


class LogQuery(serializers.Serializer):
    """Which part of a log: `?after=0&limit=50`; `after` is the position of the last step seen."""

    after = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_PAGE, default=50)


class LogAnswer(serializers.Serializer):
    results = StepSerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


class TimelineQuery(LogQuery):
    """Which part of a timeline, as of a log."""

    limit = serializers.IntegerField(min_value=1, max_value=TIMELINE_SENT, default=TIMELINE_SENT)


class TimelineAnswer(serializers.Serializer):
    """Steps as lists, to be small: a run may have a hundred thousand."""

    columns = serializers.ListField(child=serializers.CharField())
    results = serializers.ListField(child=serializers.ListField())
    next = serializers.IntegerField(allow_null=True)


class CheckpointsQuery(LogQuery):
    """Which checkpoints: behind the number `after`, and those made after so many `steps`."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_PAGE, default=MAX_PAGE)
    steps = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)


class CheckpointSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    steps = serializers.IntegerField()
    attempt = serializers.IntegerField()
    bytes = serializers.IntegerField()
    checksum = serializers.CharField()
    created_at = serializers.DateTimeField()


class CheckpointsAnswer(serializers.Serializer):
    results = CheckpointSerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


class ToolRow(serializers.Serializer):
    """A tool in a list."""

    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    signature = serializers.CharField()


class ToolDetail(ToolRow):
    """A tool with the JSON Schema of its arguments."""

    arguments = serializers.DictField()


class ToolsAnswer(serializers.Serializer):
    results = ToolRow(many=True)


class ToolCall(Strict):
    """The body of `/tools/<name>/call`. `timeout` is in seconds."""

    arguments = JsonObject(default=dict)
    timeout = serializers.FloatField(min_value=0.001, max_value=300, default=30.0)


class ToolResult(serializers.Serializer):
    name = serializers.CharField()
    result = serializers.JSONField(allow_null=True)
    seconds = serializers.FloatField()
