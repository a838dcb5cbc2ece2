"""The shapes of `/queues/`."""

from rest_framework import serializers

from orchestrator.api.serializers import JsonObject


class QueueFilterSerializer(serializers.Serializer):
    workflow_id = serializers.SlugField(max_length=64, required=False)
    kind = serializers.ChoiceField(("queue", "inbox"), required=False)


class QueueWriterSerializer(serializers.Serializer):
    """A node that writes a queue, and the limits that hold for it."""

    loop = serializers.CharField()
    node = serializers.CharField()
    max_length = serializers.IntegerField()
    max_bytes = serializers.IntegerField()
    overflow = serializers.CharField()


class QueueRow(serializers.Serializer):
    """A queue or inbox. Ages in seconds; the limits are those that a writer meets first; `in_hand`
    are entries by slot of the reader; `delayed` is of an inbox."""

    workflow_id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    writers = QueueWriterSerializer(many=True)
    readers = serializers.ListField(child=serializers.CharField())
    depth = serializers.IntegerField()
    bytes = serializers.IntegerField()
    oldest_age = serializers.FloatField(allow_null=True)
    in_per_second = serializers.FloatField(allow_null=True)
    out_per_second = serializers.FloatField(allow_null=True)
    dropped = serializers.IntegerField()
    in_hand = serializers.DictField(child=serializers.IntegerField())
    delayed = serializers.IntegerField(allow_null=True)
    max_length = serializers.IntegerField(allow_null=True)
    max_bytes = serializers.IntegerField(allow_null=True)
    overflow = serializers.CharField(allow_null=True)
    fill = serializers.FloatField(allow_null=True)


class BrokenWorkflow(serializers.Serializer):
    """A workflow that cannot be loaded any more, and why."""

    workflow_id = serializers.CharField()
    message = serializers.CharField()


class QueueListSerializer(serializers.Serializer):
    results = QueueRow(many=True)
    count = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    broken = BrokenWorkflow(many=True)


class PeekSerializer(serializers.Serializer):
    count = serializers.IntegerField(min_value=1, max_value=100, default=10)


class QueueItem(serializers.Serializer):
    """An entry of a queue; `deliveries` is 0 while it waits. What `omitted` entries hold is left
    out, because the answer is large already; of one that is `unreadable` there is the `text`."""

    id = serializers.CharField()
    deliveries = serializers.IntegerField()
    size = serializers.IntegerField()
    omitted = serializers.BooleanField()
    age = serializers.FloatField(allow_null=True)
    born_age = serializers.FloatField(allow_null=True)
    item_id = serializers.CharField(allow_null=True)
    activation = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    entry_node = serializers.CharField(allow_null=True)
    attempts = serializers.ListField(child=JsonObject(), allow_null=True)
    origin = serializers.IntegerField(allow_null=True)
    start = JsonObject(allow_null=True)
    headers = JsonObject(allow_null=True)
    data = JsonObject(allow_null=True)
    unreadable = serializers.CharField(allow_null=True)
    text = serializers.CharField(allow_null=True)


class QueueItems(serializers.Serializer):
    workflow_id = serializers.CharField()
    name = serializers.CharField()
    results = QueueItem(many=True)


class PurgeRequest(serializers.Serializer):
    """The body of `.../purge`: the name of the queue once more."""

    confirm = serializers.CharField(max_length=300, trim_whitespace=False)


class PurgeAnswer(serializers.Serializer):
    workflow_id = serializers.CharField()
    name = serializers.CharField()
    removed = serializers.IntegerField()
