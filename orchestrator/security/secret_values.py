"""Redaction by value: secrets that this process has in the clear are taken out of what leaves it.

A process that decrypts a credential registers its values. From then on its logs, its errors and all
JSON that it hands on have `[redacted]` in the place of each, in whatever form it stands there: as
it is, in base64, percent-encoded, escaped for JSON or Python, in hex. A part of a value is not
recognised.
"""

import base64
import html
import json
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST = 6
"""Characters: anything shorter would be found in texts that have nothing to do with it."""
_SAFE = ("", "/", "/:@", "!$&'()*+,;=:@~", "!$&'()*+,;=:@/?~")
"""What the usual writers of URLs leave as it is."""

_lock = threading.Lock()
_values: set[str] = set()
_forms: tuple[tuple[str, bytes], ...] = ()
"""Each form as text and as bytes, the longest first."""


def register(values: Iterable[str]) -> None:
    """Take values for secrets from now on; those of less than SHORTEST characters are left out."""
    global _forms
    with _lock:
        fresh = {value for value in values if len(value) >= SHORTEST} - _values
        if not fresh:
            return
        _values.update(fresh)
        forms = {form for value in fresh for form in forms_of(value)}.difference(dict(_forms))
        added = [(form, form.encode("utf-8", "surrogatepass")) for form in forms]
        _forms = tuple(sorted((*_forms, *added), key=lambda pair: len(pair[0]), reverse=True))


def forms_of(value: str) -> set[str]:
    """Return the forms in which a value may stand in a text."""
    raw = value.encode("utf-8", "surrogatepass")
    found = {value, value.strip(), raw.hex(), raw.hex().upper(), html.escape(value)}
    found |= {repr(value)[1:-1], repr(raw)[2:-1], quote_plus(raw)}
    for plain in (True, False):
        once = json.dumps(value, ensure_ascii=plain)[1:-1]
        found |= {once, json.dumps(once, ensure_ascii=plain)[1:-1]}
    for safe in _SAFE:
        text = quote(raw, safe=safe)
        found |= {text, re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)}
    found.update(_base64_forms(raw))
    return {form for form in found if len(form) >= SHORTEST}


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield what is the same in base64 whatever stands before and after the value."""
    for before, unsure in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(b"\0" * before + raw).decode()
        sure = text[unsure : (before + len(raw)) * 8 // 6]
        yield sure
        yield sure.replace("+", "-").replace("/", "_")


def found_in(body: bytes) -> bool:
    """Tell whether a secret stands in these bytes."""
    return bool(_forms) and any(form in body for _, form in _forms)


def scrub(text: str) -> str:
    """Return a text without secrets."""
    # A pattern of all forms would cost more to compile than all texts to search, with each secret.
    found = [form for form, _ in _forms if form in text]
    return re.sub("|".join(map(re.escape, found)), REDACTED, text) if found else text


def scrub_value(value: Any) -> Any:
    """Return a JSON value without secrets, in keys as well; a copy, if there are any."""
    return _scrubbed(value) if _forms else value


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return REDACTED if str(value) in _values else value
    return value
