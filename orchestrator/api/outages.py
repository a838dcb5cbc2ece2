"""What a page answers while the database is away."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.deprecation import MiddlewareMixin

from orchestrator.api.errors import answer_of, json_response
from orchestrator.runtime.database import is_away


class OutageMiddleware(MiddlewareMixin):
    """Answers 503, as the API does, to a page that needs a database which is away."""

    def process_exception(self, request: HttpRequest, error: Exception) -> JsonResponse | None:
        answer: Any = answer_of(error) if is_away(error) else None
        return None if answer is None else json_response(answer)
