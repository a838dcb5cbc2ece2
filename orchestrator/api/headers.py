"""Response headers that limit what a browser lets a page of ours do."""

from typing import Any

from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""For what is no page: were a browser to show it as one, nothing in it would be loaded or run."""
POLICY_HEADER = "Content-Security-Policy"
MORE = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class PageHeaders(CSPMiddleware):
    """The policy of `settings.CONTENT_SECURITY_POLICY` for pages, and a stricter one for data."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        for name, value in MORE.items():
            response.headers.setdefault(name, value)
        if response.get("Content-Type", "").startswith("application/json"):
            response.headers.setdefault(POLICY_HEADER, DATA_POLICY)
            return response
        return super().process_response(request, response)
