"""The shapes of dead letters, and of what is asked of them."""

from typing import Any

from rest_framework import serializers

from orchestrator.api.serializers import MAX_INTEGER, JsonObject, PageOf, Strict
from orchestrator.models import DeadLetter


class DeadLetterFilterSerializer(serializers.Serializer):
    workflow_id = serializers.SlugField(max_length=64, required=False)
    node_id = serializers.CharField(max_length=200, required=False)
    loop = serializers.CharField(max_length=200, required=False)
    reason = serializers.CharField(max_length=32, required=False)
    error_type = serializers.CharField(max_length=200, required=False)
    status = serializers.ChoiceField(DeadLetter.Status.choices, required=False)
    activation = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)
    version = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    search = serializers.CharField(max_length=200, required=False)
    fingerprint = serializers.CharField(max_length=32, required=False)
    max_id = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)
    origin = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)


class DeadLetterRow(serializers.ModelSerializer):
    """A dead letter in a list."""

    workflow_id = serializers.CharField()
    origin = serializers.IntegerField(source="origin_id", allow_null=True)

    class Meta:
        model = DeadLetter
        fields = (
            "id",
            "workflow_id",
            "version",
            "activation",
            "loop",
            "slot",
            "node_id",
            "node_type",
            "item_id",
            "reason",
            "error_type",
            "message",
            "deliveries",
            "status",
            "replay_count",
            "born_at",
            "dead_at",
            "origin",
            "fingerprint",
        )


class DeadLetterList(PageOf):
    results = DeadLetterRow(many=True)


class DeadLetterDetail(DeadLetterRow):
    """A dead letter with what is needed to debug it."""

    replayed_by = serializers.CharField(
        source="replayed_by.username", allow_null=True, default=None
    )
    discarded_by = serializers.CharField(
        source="discarded_by.username", allow_null=True, default=None
    )

    class Meta(DeadLetterRow.Meta):
        fields = (
            *DeadLetterRow.Meta.fields,
            "token",
            "queue",
            "idempotency_key",
            "trace",
            "attempts",
            "item",
            "headers",
            "entry_node",
            "node_input",
            "node_headers",
            "edited",
            "note",
            "replay_from",
            "replay_at",
            "replayed_at",
            "replayed_by",
            "discarded_at",
            "discarded_by",
        )


class DeadLetterGroup(serializers.Serializer):
    """Letters of the same error; `message` is that of `newest`, the last one that came."""

    fingerprint = serializers.CharField()
    workflow_id = serializers.CharField()
    loop = serializers.CharField()
    node_id = serializers.CharField()
    node_type = serializers.CharField()
    reason = serializers.CharField()
    error_type = serializers.CharField()
    message = serializers.CharField()
    count = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    newest = serializers.IntegerField()


class DeadLetterGroups(serializers.Serializer):
    """Groups, the latest first; how many letters there are of each status when the others are not
    left out; and the greatest id of a letter, for `max_id`."""

    results = DeadLetterGroup(many=True)
    count = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    statuses = serializers.DictField(child=serializers.IntegerField())
    newest = serializers.IntegerField()


class DeadLetterEdit(Strict):
    """The body of `PATCH /dead-letters/<id>/`. None takes an edit back."""

    item = JsonObject(required=False, allow_null=True)
    node_input = JsonObject(required=False, allow_null=True)
    note = serializers.CharField(required=False, max_length=10_000, allow_blank=True)


class DiscardRequest(Strict):
    """The body of `/dead-letters/<id>/discard`."""

    note = serializers.CharField(required=False, max_length=10_000, default=None)


class ReplayRequest(Strict):
    """The body of `/dead-letters/<id>/replay`."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Add `from`, which Python does not allow as a name."""
        origin = serializers.ChoiceField(
            DeadLetter.ReplayFrom.choices, source="origin", default=DeadLetter.ReplayFrom.START
        )
        return {**super().get_fields(), "from": origin}


class ReplayAnswer(DeadLetterRow):
    """A letter on its way, and whether its workflow is there to work on it."""

    workflow_status = serializers.CharField()

    class Meta(DeadLetterRow.Meta):
        fields = (*DeadLetterRow.Meta.fields, "workflow_status")


class BulkFilter(Strict, DeadLetterFilterSerializer):
    """Which letters; at least one restriction has to be named."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError("Name at least one restriction.")
        return attrs


class BulkRequest(Strict):
    """Letters by their ids, or by the filters of the list."""

    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        min_length=1,
        max_length=10_000,
    )
    filter = BulkFilter(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError("Send either ids, or a filter.")
        return attrs


class BulkReplayRequest(BulkRequest, ReplayRequest):
    """The body of `/dead-letters/replay`."""

    per_second = serializers.FloatField(min_value=0.1, max_value=10_000, default=50.0)


class BulkDiscardRequest(BulkRequest, DiscardRequest):
    """The body of `/dead-letters/discard`."""


class BulkAnswer(serializers.Serializer):
    """How many letters were changed, and how many were left as they are."""

    count = serializers.IntegerField()
    skipped = serializers.IntegerField()
    workflows = serializers.DictField(child=serializers.CharField())
