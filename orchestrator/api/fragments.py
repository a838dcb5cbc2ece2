"""`/studio/forms/<type>/`: a node's form as a part of a page, for the studio and the admin."""

from typing import Any

from django.http import HttpResponse, QueryDict
from django.template.loader import render_to_string
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.renderers import StaticHTMLRenderer
from rest_framework.request import Request

from nodes.contract import Json
from orchestrator.api.base import ResourceView, valid
from orchestrator.api.form_serializers import ValuesRequest
from orchestrator.api.parsers import StrictJSONParser, parse_json
from orchestrator.exceptions import InvalidRequest
from orchestrator.services.node_fields import fragment

_TEMPLATE = "orchestrator/node_form.html"


class PostedRequest(serializers.Serializer):
    """What a posted form says beside its controls."""

    advanced = serializers.BooleanField(required=False, default=False)
    changed = serializers.ListField(
        child=serializers.CharField(max_length=200, trim_whitespace=False),
        max_length=1000,
        required=False,
        default=list,
    )


@extend_schema(exclude=True)  # a part of a page, which is no API
class NodeFragmentView(ResourceView):
    parser_classes = (StrictJSONParser, FormParser)
    renderer_classes = (StaticHTMLRenderer,)

    def post(self, request: Request, node_type: str) -> HttpResponse:
        """Answer the form after a change: 200, or 422 when something in it is wrong.

        The body is a posted form (its controls; `values`: of the node before; `changed`: a field,
        more than once for several), or JSON with the `values`, for a form that is opened.
        """
        values, options, data = _asked(request)
        filled = fragment.fill(self.actor, node_type, values, data, **options)
        page = render_to_string(_TEMPLATE, {"form": filled}, request=request)
        return HttpResponse(page, status=422 if filled.invalid else 200)


def _asked(request: Request) -> tuple[dict[str, Json], dict[str, Any], QueryDict]:
    data = request.data
    if not isinstance(data, QueryDict):
        wanted = valid(ValuesRequest, data)
        return wanted.pop("values"), dict(wanted), QueryDict()
    options = valid(PostedRequest, data)
    if "values" not in data:
        return {}, options, data
    values = parse_json(data["values"].encode("utf-8", "surrogatepass"))
    if not isinstance(values, dict):
        raise InvalidRequest("values must be an object")
    return values, options, data
