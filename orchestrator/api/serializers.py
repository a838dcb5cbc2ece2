"""The shapes that go in and out; what they mean is the services' business."""

from typing import Any

from rest_framework import serializers

from orchestrator.models import Workflow, WorkflowVersion

MAX_INTEGER = 2**31 - 1


class ProductionRequest(serializers.Serializer):
    """The body of `/prod/pause`, `/prod/resume` and `/prod/drain`: of one loop, or of all."""

    workflow_id = serializers.SlugField(max_length=64)
    loop = serializers.CharField(
        max_length=200, trim_whitespace=False, required=False, allow_null=True, default=None
    )


class StopRequest(ProductionRequest):
    """The body of `/prod/stop`. `force` gives up the item in hand, which runs again later."""

    force = serializers.BooleanField(required=False, default=False)


class StartRequest(ProductionRequest):
    """The body of `/prod/start`. Without a version the newest is started; `loop` stands alone."""

    version = serializers.IntegerField(
        min_value=1, max_value=MAX_INTEGER, required=False, allow_null=True, default=None
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """Add `from`, which Python does not allow as a name."""
        origin = serializers.ChoiceField(
            ("resume", "beginning"), source="origin", required=False, allow_null=True, default=None
        )
        return {**super().get_fields(), "from": origin}


class NodeCounters(serializers.Serializer):
    count = serializers.IntegerField()
    failed = serializers.IntegerField()
    seconds = serializers.FloatField()
    last_ms = serializers.FloatField()
    executing = serializers.BooleanField()
    last_error = serializers.CharField()


class LoopStatus(serializers.Serializer):
    loop = serializers.CharField()
    slot = serializers.IntegerField()
    desired = serializers.CharField()
    state = serializers.CharField()
    reason = serializers.CharField()
    runner = serializers.CharField(allow_null=True)
    isolated = serializers.BooleanField()
    runs_on = serializers.ListField(child=serializers.CharField())
    iterations = serializers.IntegerField()
    failures = serializers.IntegerField()
    in_flight = serializers.IntegerField()
    nodes = serializers.DictField(child=NodeCounters())


class StatusSerializer(serializers.Serializer):
    """What a workflow does; also the body of `state_sync`."""

    workflow_id = serializers.CharField()
    name = serializers.CharField()
    desired = serializers.CharField()
    status = serializers.CharField()
    reason = serializers.CharField()
    activation = serializers.IntegerField()
    version = serializers.IntegerField(allow_null=True)
    runners_alive = serializers.IntegerField()
    loops = LoopStatus(many=True)


class RunnerStatus(serializers.Serializer):
    id = serializers.CharField()
    host = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    load = serializers.FloatField()
    slots = serializers.IntegerField()
    draining = serializers.BooleanField()


class StatusWithRunners(StatusSerializer):
    runners = RunnerStatus(many=True)


class WorkflowRow(serializers.ModelSerializer):
    """A workflow in a list."""

    last_version = serializers.IntegerField(source="last_number", allow_null=True)
    active_version = serializers.IntegerField(
        source="active_version.number", allow_null=True, default=None
    )

    class Meta:
        model = Workflow
        fields = (
            "id",
            "name",
            "desired",
            "activation",
            "active_version",
            "last_version",
            "created_at",
            "updated_at",
        )


class VersionRow(serializers.ModelSerializer):
    """A version in a list."""

    version = serializers.IntegerField(source="number")
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)

    class Meta:
        model = WorkflowVersion
        fields = ("version", "digest", "created_at", "created_by")


class PageOf(serializers.Serializer):
    """The part of a list that was asked for."""

    count = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class WorkflowList(PageOf):
    results = WorkflowRow(many=True)


class VersionList(PageOf):
    results = VersionRow(many=True)


class VersionDetail(VersionRow):
    """A version with its definition, exactly as it was sent."""

    id = serializers.CharField(source="workflow_id")
    name = serializers.CharField(source="workflow.name")

    class Meta(VersionRow.Meta):
        fields = ("id", "name", *VersionRow.Meta.fields, "definition")


class SavedVersion(VersionDetail):
    """What a save answers; `created` is false when nothing was new in it."""

    created = serializers.BooleanField()

    class Meta(VersionDetail.Meta):
        fields = (*VersionDetail.Meta.fields, "created")


class SaveQuery(serializers.Serializer):
    """`?after=3`: what is saved was changed from version 3, and follows no other."""

    after = serializers.IntegerField(
        min_value=1, max_value=MAX_INTEGER, required=False, default=None
    )


class JsonObject(serializers.JSONField):
    """A JSON object; lists and plain values are refused."""

    default_error_messages = {"not_an_object": "This must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        return data


class Strict(serializers.Serializer):
    """Refuses what it does not know: a misspelt restriction must not stand for none."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else ()
        if unknown:
            raise serializers.ValidationError(
                {str(name)[:100]: ["There is no such field."] for name in unknown[:20]}
            )
        return super().to_internal_value(data)


class ProblemSerializer(serializers.Serializer):
    path = serializers.CharField()
    message = serializers.CharField()


class ErrorBody(serializers.Serializer):
    code = serializers.CharField()
    message = serializers.CharField()
    details = ProblemSerializer(many=True)


class ErrorSerializer(serializers.Serializer):
    """The one shape of every error."""

    error = ErrorBody()
