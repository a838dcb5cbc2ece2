"""One address for people and for programs: what is asked for decides which of them is answered."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

View = Callable[..., HttpResponseBase]
_TYPES = ("application/json", "text/html")
"""The first is given to whoever takes both alike, such as `Accept: */*`."""


def page_or_api(page: View, api: View) -> View:
    """Return a view that shows the page to whoever prefers HTML, and is the API to all others.

    Only what reads can be a page. The wrapped view stays what the API's own is to the framework:
    its CSRF rule and its place in the schema.
    """

    @wraps(api)
    def view(request: HttpRequest, **path: str) -> HttpResponseBase:
        answer = (page if _wants_page(request) else api)(request, **path)
        patch_vary_headers(answer, ("Accept",))
        return answer

    return view


def _wants_page(request: HttpRequest) -> bool:
    reads = request.method in ("GET", "HEAD")
    return reads and request.get_preferred_type(_TYPES) == "text/html"
