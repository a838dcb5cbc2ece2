"""The guarded way out: whatever a node connects to, it connects to through here."""

from httpx import AsyncClient, Request

from orchestrator.security.egress.addresses import Address
from orchestrator.security.egress.client import http_client
from orchestrator.security.egress.connect import connect, resolve, tls_context, trusted_file
from orchestrator.security.egress.exchange import MAX_BODY, Answer, exchange
from orchestrator.security.egress.policy import EgressPolicy, install, policy
from orchestrator.security.egress.urls import join_url, parse_url, shown

__all__ = (
    "MAX_BODY",
    "Address",
    "Answer",
    "AsyncClient",
    "EgressPolicy",
    "Request",
    "connect",
    "exchange",
    "http_client",
    "install",
    "join_url",
    "parse_url",
    "policy",
    "resolve",
    "shown",
    "tls_context",
    "trusted_file",
)
