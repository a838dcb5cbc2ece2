"""One shape for every error, whoever raises it.

`{"error": {"code": "...", "message": "...", "details": [{"path": "...", "message": "..."}]}}`
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions as drf

from nodes.contract import NodeOutput
from orchestrator import exceptions as ours
from orchestrator.exceptions import OrchestratorError, Problem
from orchestrator.runtime.database import is_away

_STATUS: dict[type[OrchestratorError], int] = {
    ours.WorkflowInvalid: 400,
    ours.InvalidRequest: 400,
    ours.KeyReused: 422,
    ours.InvalidPayload: 400,
    ours.PayloadTooLarge: 413,
    ours.NotFound: 404,
    ours.NotAllowed: 403,
    ours.NotAuthenticated: 401,
    ours.Conflict: 409,
    ours.NodeFailed: 422,
    ours.NodeTimeout: 504,
    ours.FormFailed: 422,
    ours.TemplateInvalid: 400,
    ours.TemplateFailed: 422,
    ours.StepLimitExceeded: 422,
    ours.NotPortable: 400,
    ours.EdgeLimitExceeded: 422,
    ours.RunTimeout: 504,
    ours.SteeringRefused: 422,
    ours.ToolFailed: 422,
    ours.ToolTimeout: 504,
    ours.NoWorker: 503,
    ours.Busy: 429,
    ours.NoAnswer: 504,
    ours.StoreUnavailable: 503,
    ours.StoreRefused: 503,
    ours.CredentialsClosed: 503,
    ours.EgressDenied: 422,
    ours.EgressFailed: 422,
    ours.LeaseLost: 409,
    ours.RegistryError: 400,
    ours.UnknownNodeType: 404,
    ours.UnknownTool: 404,
}
_CODES = {
    400: "invalid_request",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "busy",
}
_PAGES = ("/admin/", "/static/", "/login", "/logout")
"""Below these the errors are pages for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An error as it goes to a client."""

    status: int
    code: str
    message: str
    problems: tuple[Problem, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        details = [{"path": p.path, "message": p.message} for p in self.problems]
        error = {"code": self.code, "message": self.message, "details": details, **self.extra}
        return {"error": error}


def answer_of(error: BaseException) -> ErrorAnswer | None:
    """Return what a client is told, or None for a fault of ours."""
    if isinstance(error, OrchestratorError):
        return _of_ours(error)
    if isinstance(error, drf.APIException):
        return _of_framework(error)
    if isinstance(error, Http404):
        return plain(404, "there is nothing here")
    if isinstance(error, PermissionDenied):
        return plain(403, str(error) or "you may not do this")
    if is_away(error):
        return ErrorAnswer(
            status=503,
            code="database_unavailable",
            message="the database cannot be reached",
            headers={"Retry-After": "5"},
        )
    if isinstance(error, SuspiciousOperation | DataError):
        return plain(400, "the request cannot be used")
    return None


def plain(status: int, message: str) -> ErrorAnswer:
    """Return an answer with the usual code of a status."""
    return ErrorAnswer(status=status, code=_CODES[status], message=message)


def _of_ours(error: OrchestratorError) -> ErrorAnswer | None:
    status = next((_STATUS[c] for c in type(error).__mro__ if c in _STATUS), None)
    if status is None:
        return None
    return ErrorAnswer(
        status=status,
        code=error.code,
        message=error.message,
        problems=error.problems,
        extra=_extra(error),
        headers=_headers(status),
    )


def _extra(error: OrchestratorError) -> dict[str, Any]:
    if isinstance(error, ours.NodeFailed):
        item = error.node_input
        return {
            "node": {
                "id": error.node_id,
                "error_type": error.error_type,
                "trace": error.trace,
                "input": item.data if isinstance(item, NodeOutput) else None,
            }
        }
    if isinstance(error, ours.MissingInput):
        return {"nodes": list(error.nodes)}
    if isinstance(error, ours.TemplateInvalid):
        return {"line": error.line, "column": error.column}
    return {}


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "1" if status == 429 else "5"} if status in (429, 503) else {}


def _of_framework(error: drf.APIException) -> ErrorAnswer:
    status = error.status_code
    problems = tuple(_flatten(error.detail)) if isinstance(error, drf.ValidationError) else ()
    headers = _headers(status)
    if isinstance(error, drf.NotAuthenticated | drf.AuthenticationFailed):
        status, headers = 401, _headers(401)
    if isinstance(error, drf.Throttled) and error.wait:
        headers = {"Retry-After": str(int(error.wait) + 1)}
    return ErrorAnswer(
        status=status,
        code=_CODES.get(status, "error"),
        message="the request is not valid" if problems else str(error.detail),
        problems=problems,
        headers=headers,
    )


def _flatten(detail: Any, path: str = "") -> Iterator[Problem]:
    """Turn REST framework's nested messages into paths; its depth is that of our serializers."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(inner, ".".join(filter(None, (path, name))))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flatten(inner, path)
    else:
        yield Problem(path, str(detail))


def exception_handler(error: Exception, context: dict[str, Any]) -> JsonResponse | None:
    """REST framework's hook: None lets the error become a 500.

    It is JSON whatever the view renders otherwise.
    """
    answer = answer_of(error)
    return None if answer is None else json_response(answer)


def json_response(answer: ErrorAnswer) -> JsonResponse:
    """Return the answer of a plain Django view."""
    return JsonResponse(answer.body, status=answer.status, headers=answer.headers)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: a host that is not ours, a malformed request."""
    return json_response(plain(400, "the request cannot be used"))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    if request.path_info.startswith(_PAGES):
        return defaults.permission_denied(request, exception)
    return json_response(plain(403, "you may not do this"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    if request.path_info.startswith(_PAGES):
        return defaults.page_not_found(request, exception)
    return json_response(plain(404, "there is nothing here"))


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: the fault is logged, and the client is told no more than that."""
    if request.path_info.startswith(_PAGES):
        return defaults.server_error(request)
    message = "something went wrong on the server; its log has the reason"
    return json_response(ErrorAnswer(status=500, code="internal", message=message))
