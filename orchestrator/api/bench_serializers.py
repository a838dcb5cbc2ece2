"""The shapes of `/dev/...`."""

from typing import Any

from rest_framework import serializers

from orchestrator.api.serializers import JsonObject, Strict

_TEMPLATE_LIMIT = 100_000
_FRESHNESS = ("fresh", "stale", "missing", "pinned")
_ORIGINS = ("run", "pin", "tap", "dead_letter", "queue")


class SessionSerializer(serializers.Serializer):
    """Whose outputs; a user has a session of their own unless one is named."""

    session = serializers.RegexField(
        r"^[\w.-]+$", max_length=64, required=False, allow_null=True, default=None
    )


class WorkflowRequest(SessionSerializer):
    """A stored workflow, or JSON that need not be stored and goes before it."""

    workflow_id = serializers.SlugField(
        max_length=64, required=False, allow_null=True, default=None
    )
    workflow = JsonObject(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["workflow_id"] is None and attrs["workflow"] is None:
            raise serializers.ValidationError("Send a workflow_id, or a workflow.")
        return attrs


class UnsavedRequest(SessionSerializer):
    """The workflow as it is being changed, where that is not what is stored."""

    workflow = JsonObject(required=False, allow_null=True, default=None)


class ExecuteRequest(WorkflowRequest):
    """The body of `/dev/execute`. `write` makes what the node emits and stages real."""

    node_id = serializers.CharField(max_length=100, trim_whitespace=False)
    input = JsonObject(required=False, allow_null=True, default=None)
    form = JsonObject(required=False, default=dict)
    config = JsonObject(required=False, default=dict)
    run_upstream = serializers.ChoiceField(("never", "missing", "stale"), default="never")
    timeout = serializers.FloatField(
        min_value=0.1, max_value=300, required=False, allow_null=True, default=None
    )
    write = serializers.BooleanField(required=False, default=False)


class ForgetRequest(WorkflowRequest):
    """The body of `/dev/forget`."""

    node_id = serializers.CharField(max_length=100, trim_whitespace=False)


class UsedSerializer(serializers.Serializer):
    """An output that a node was given; without `node_id` an input that was sent or loaded, or an
    entry of the queue."""

    node_id = serializers.CharField(allow_null=True)
    origin = serializers.CharField()
    freshness = serializers.ChoiceField(_FRESHNESS)
    port = serializers.CharField(allow_null=True)
    at = serializers.FloatField()


class EmittedSerializer(serializers.Serializer):
    """What a node put, or would have put, into a queue."""

    queue = serializers.CharField()
    data = JsonObject()


class WrittenSerializer(serializers.Serializer):
    """What became real: how many items were put into queues, and files that got lines."""

    queues = serializers.IntegerField()
    files = serializers.ListField(child=serializers.CharField())


class ExecuteAnswer(serializers.Serializer):
    """What a node made. `output` is None when it passed nothing on.

    `values` is its form as rendered for this input, `state` what it goes on with, `emitted` and
    `effects` what it hands over and writes, `log` what it printed and logged.
    """

    workflow_id = serializers.CharField()
    node_id = serializers.CharField()
    session = serializers.CharField()
    output = serializers.JSONField(allow_null=True)
    port = serializers.CharField()
    completed = serializers.BooleanField()
    seconds = serializers.FloatField()
    values = JsonObject()
    state = serializers.JSONField(allow_null=True)
    emitted = EmittedSerializer(many=True)
    effects = serializers.ListField(child=serializers.JSONField())
    log = serializers.CharField()
    used = UsedSerializer(many=True)
    ran_upstream = serializers.ListField(child=serializers.CharField())
    written = WrittenSerializer()


class CancelRequest(SessionSerializer):
    """The body of `/dev/cancel`. For an unsaved workflow `workflow_id` is what its answers say."""

    workflow_id = serializers.CharField(max_length=300)
    node_id = serializers.CharField(max_length=100, trim_whitespace=False)


class CancelAnswer(serializers.Serializer):
    cancelled = serializers.BooleanField()


class RenderRequest(WorkflowRequest):
    """The body of `/dev/render`: a template, and whose input it is previewed with."""

    node_id = serializers.CharField(max_length=100, trim_whitespace=False)
    template = serializers.CharField(
        max_length=_TEMPLATE_LIMIT, trim_whitespace=False, allow_blank=True
    )
    input = JsonObject(required=False, allow_null=True, default=None)


class PathSerializer(serializers.Serializer):
    """A value that a template may name."""

    path = serializers.CharField()
    type = serializers.CharField()
    sample = serializers.CharField()


class RenderError(serializers.Serializer):
    message = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)


class RenderAnswer(serializers.Serializer):
    """What a template gives: `value`, `type` and `text`; or `error`, and the `names` there are."""

    ok = serializers.BooleanField()
    value = serializers.JSONField(required=False, allow_null=True)
    type = serializers.CharField(required=False)
    text = serializers.CharField(required=False)
    error = RenderError(required=False)
    names = serializers.ListField(child=serializers.CharField(), required=False)
    paths = PathSerializer(many=True)
    used = UsedSerializer(many=True)


class InputAnswer(serializers.Serializer):
    """What a node would be given."""

    input = JsonObject()
    paths = PathSerializer(many=True)
    used = UsedSerializer(many=True)


class PinRequest(UnsavedRequest):
    """The body of `PUT /dev/cache/...`: data that stands for a node's output."""

    data = JsonObject()
    port = serializers.CharField(max_length=100, default="default")


class OverviewRequest(SessionSerializer):
    """The body of `POST /dev/cache/<workflow_id>`: the workflow as it is being changed."""

    workflow = JsonObject()


class LoadSource(Strict):
    """Where data comes from: a dead letter, a sample of a tap, or an entry of a queue."""

    dead_letter = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    tap = serializers.CharField(max_length=1000, required=False)
    queue = serializers.CharField(max_length=300, required=False)
    entry = serializers.CharField(max_length=100, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if set(attrs) not in ({"dead_letter"}, {"tap"}, {"queue", "entry"}):
            raise serializers.ValidationError(
                "Name a dead_letter, or a tap, or a queue and an entry."
            )
        return attrs


class LoadRequest(UnsavedRequest):
    """The body of `/dev/load`. `node_id` puts it at another node than where it comes from."""

    workflow_id = serializers.SlugField(max_length=64)
    node_id = serializers.CharField(
        max_length=100, trim_whitespace=False, required=False, allow_null=True, default=None
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """Add `from` and `as`, which Python does not allow as names."""
        kind = serializers.ChoiceField(
            ("input", "output"), source="kind", required=False, allow_null=True, default=None
        )
        return {**super().get_fields(), "from": LoadSource(source="source"), "as": kind}


class GivenSerializer(serializers.Serializer):
    """An input that a node gets instead of what is before it; `of` says what it was loaded from."""

    origin = serializers.ChoiceField(_ORIGINS)
    at = serializers.FloatField()
    bytes = serializers.IntegerField()
    of = serializers.JSONField()
    input = JsonObject(required=False)


class StandingSerializer(serializers.Serializer):
    """What is remembered of a node, and in `why` the reason for its freshness."""

    freshness = serializers.ChoiceField(_FRESHNESS)
    why = serializers.CharField(allow_blank=True)
    port = serializers.CharField(allow_null=True)
    origin = serializers.ChoiceField(_ORIGINS, allow_null=True)
    at = serializers.FloatField(allow_null=True)
    bytes = serializers.IntegerField(allow_null=True)
    given = GivenSerializer(allow_null=True)


class OverviewAnswer(serializers.Serializer):
    workflow_id = serializers.CharField()
    session = serializers.CharField()
    nodes = serializers.DictField(child=StandingSerializer())


class CacheAnswer(StandingSerializer):
    workflow_id = serializers.CharField()
    node_id = serializers.CharField()
    session = serializers.CharField()
    output = serializers.JSONField(allow_null=True)
