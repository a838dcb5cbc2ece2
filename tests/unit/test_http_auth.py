"""Credentials in requests."""

import base64
from dataclasses import dataclass

import pytest

from nodes.builtin.http_auth import apply_credential, has_fixed_host
from orchestrator.exceptions import NodeFailed
from orchestrator.security.egress import Request


@dataclass
class Credential:
    kind: str
    values: dict[str, str]


@pytest.mark.parametrize(
    ("kind", "values", "name", "value"),
    [
        ("http-basic", {"username": "Ada", "password": "p:ä"}, "Authorization",
         "Basic " + base64.b64encode("Ada:p:ä".encode()).decode()),
        ("bearer", {"token": "t-1"}, "Authorization", "Bearer t-1"),
        ("header", {"name": "X-Api-Key", "value": "k"}, "X-Api-Key", "k"),
    ],
)  # fmt: skip
def test_each_kind_is_a_header(kind, values, name, value):
    request = Request("GET", "https://a.test", headers={"Authorization": "typed in"})
    apply_credential(request, Credential(kind, values))
    assert request.headers[name] == value


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("smtp", {"password": "CANARY"}),
        ("bearer", {"token": "CANARY\r\nX: y"}),
        ("bearer", {"token": "CANARÝ"}),
        ("header", {"name": "", "value": "CANARY"}),
        ("header", {"name": "X\nCANARY", "value": "x"}),
    ],
)
def test_what_is_no_header_is_refused_without_telling_it(kind, values):
    request = Request("GET", "https://a.test")
    with pytest.raises(NodeFailed) as refused:
        apply_credential(request, Credential(kind, values))
    assert "CANAR" not in refused.value.message
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("address", "fixed"),
    [
        ("https://a.test", True),
        ("HTTPS://a.test:8443/{{ data.path }}", True),
        ("https://a.test?q={{ data.q }}", True),
        ("http://[::1]/x", True),
        ("{{ data.url }}", False),
        ("https://{{ data.host }}/x", False),
        ("https://a.test{{ data.rest }}", False),
        ("https://a.test:{{ data.port }}/", False),
        ("https://a.test@{{ data.host }}/", False),
        ("https://a.test\\@{{ data.host }}/", False),
        ("{{ data.scheme }}://a.test/", False),
        ("{% if data.x %}https://a.test/{% endif %}", False),
    ],
)
def test_only_the_setting_itself_names_the_host_that_gets_a_login(address, fixed):
    assert has_fixed_host(address) is fixed
