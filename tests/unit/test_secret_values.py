"""Redaction by value: every form in which a secret may stand, and nothing else."""

import base64
import html
import json
import logging
import re
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest

from orchestrator.logs import LineFormatter
from orchestrator.security import secret_values
from orchestrator.security.output import RedactedStream
from orchestrator.security.redaction import redact
from storage.codec import decode, encode

SECRETS = [
    "hunter2-hunter2",
    "p@ss/w:rd+&= ?%",
    'quo"te\\back\nline',
    "schlüssel-größe",
    "<script>&'\"",
    "123456789012",
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(secret_values, "_values", set())
    monkeypatch.setattr(secret_values, "_forms", ())
    secret_values.register(SECRETS)


def texts(secret):
    raw = secret.encode()
    yield f"before {secret} after"
    yield f"Basic {base64.b64encode(f'ada:{secret}'.encode()).decode()}"
    for before in ("", "x", "xy"):
        yield base64.b64encode(f"{before}{secret}tail".encode()).decode()
        yield base64.urlsafe_b64encode(f"{before}{secret}".encode()).decode()
    yield f"https://ada:{quote(secret, safe='')}@host/"
    yield f"https://host/?key={quote_plus(secret)}&x=1"
    yield re.sub("%..", lambda found: found[0].lower(), quote(secret, safe=""))
    yield json.dumps({"a": secret})
    yield json.dumps({"a": secret}, ensure_ascii=False)
    yield json.dumps({"a": json.dumps({"b": secret})})
    yield repr({"a": secret})
    yield repr(raw)
    yield raw.hex()
    yield raw.hex().upper()
    yield html.escape(secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_takes_a_secret_out_in_each_of_its_forms(secret):
    for text in texts(secret):
        clean = secret_values.scrub(text)
        assert "[redacted]" in clean, text
        assert secret not in clean
        for form in secret_values.forms_of(secret):
            assert form not in clean, (text, form)


def test_leaves_everything_else_and_what_is_too_short():
    secret_values.register(["short"])
    for text in ("short", "hunter2", "hunter2-hunter", "123456", ""):
        assert secret_values.scrub(text) is text


def test_strict_json_has_no_secrets_in_values_keys_and_numbers():
    value = {"a": [SECRETS[2]], SECRETS[0]: {"n": 123456789012, "m": 5, "t": True, "z": None}}
    assert decode(encode(value)) == {
        "a": ["[redacted]"],
        "[redacted]": {"n": "[redacted]", "m": 5, "t": True, "z": None},
    }


def test_what_is_cut_is_redacted_before():
    long = "x" * 190 + SECRETS[0]
    assert SECRETS[0][:8] not in json.dumps(redact({"a": long}, 200).value)
    assert redact({"a": SECRETS[0]}).found


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_log_line_and_its_trace_have_no_secrets(style):
    try:
        raise ValueError(SECRETS[0])
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "%s", (SECRETS[1],), sys.exc_info())
    record.given = {"deep": [SECRETS[0]]}
    record.api_key = "short"
    record.cause = LookupError(SECRETS[0])
    line = LineFormatter(style).format(record)
    assert "ValueError: [redacted]" in line
    assert "short" not in line
    assert not any(secret in line for secret in SECRETS)


def test_prints_have_no_secrets(capsys):
    stream = RedactedStream(sys.stdout)
    print("a", SECRETS[0], file=stream)
    stream.writelines([SECRETS[1], "\n"])
    stream.flush()
    assert capsys.readouterr().out == "a [redacted]\n[redacted]\n"


def test_costs_nothing_where_nothing_is_registered():
    code = "from orchestrator.security import secret_values as s; t = 'xxx'; print(s.scrub(t) is t)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"
