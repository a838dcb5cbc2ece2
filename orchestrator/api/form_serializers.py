"""The shapes of forms, and of what is asked of them."""

from typing import Any

from rest_framework import serializers

from orchestrator.api.serializers import JsonObject, Strict


class ValuesRequest(Strict):
    """The body of `/nodes/<type>/validate`.

    `advanced` is the node's option `advanced_templates`: its templates may have loops.
    """

    values = JsonObject()
    advanced = serializers.BooleanField(required=False, default=False)


class FormRequest(ValuesRequest):
    """The body of `/nodes/<type>/form`. `changed` is the field that the user has just set."""

    changed = serializers.CharField(
        max_length=200, required=False, allow_null=True, default=None, trim_whitespace=False
    )


class AnyValue(serializers.JSONField):
    """Any JSON value."""


class ChoiceShape(serializers.Serializer):
    value = AnyValue()
    label = serializers.CharField()
    group = serializers.CharField(required=False)


class FieldShape(serializers.Serializer):
    """One field of a form."""

    name = serializers.CharField()
    kind = serializers.CharField()
    required = serializers.BooleanField()
    initial = AnyValue(allow_null=True)
    value = AnyValue(allow_null=True)
    choices = ChoiceShape(many=True, allow_null=True)
    choices_error = serializers.CharField(allow_null=True)
    suggestions = serializers.ListField(child=serializers.CharField(), allow_null=True)
    template = serializers.BooleanField()
    depends_on = serializers.ListField(child=serializers.CharField())
    visible = serializers.BooleanField()
    visible_when = serializers.DictField(child=serializers.ListField(), allow_null=True)
    limits = JsonObject()
    language = serializers.CharField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        """Add the names that a serializer has itself."""
        own = {
            "label": serializers.CharField(),
            "help": serializers.CharField(),
            "errors": serializers.ListField(child=serializers.CharField()),
        }
        return {**super().get_fields(), **own}


class FormAnswer(serializers.Serializer):
    """A form with its values."""

    type = serializers.CharField()
    json_schema = JsonObject()

    def get_fields(self) -> dict[str, Any]:
        """Add the names that a serializer has itself."""
        errors = serializers.ListField(child=serializers.CharField())
        return {**super().get_fields(), "fields": FieldShape(many=True), "errors": errors}


class ProblemShape(serializers.Serializer):
    path = serializers.CharField()
    message = serializers.CharField()


class ValidateAnswer(serializers.Serializer):
    """What is wrong, or else the cleaned values."""

    valid = serializers.BooleanField()
    problems = ProblemShape(many=True)
    values = JsonObject(allow_null=True)
