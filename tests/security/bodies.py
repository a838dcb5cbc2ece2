"""S1: hostile bodies, made from a seed. A body is named by its number: the same seed makes it
again."""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
KB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One request. `may_pass`: it may be a good one all the same."""

    kind: str
    content: bytes
    content_type: str = JSON
    may_pass: bool = False


def body(seed: int, number: int) -> Body:
    """Return the body of a number."""
    rng = random.Random(f"{seed}:{number}")
    names, weights = zip(*((name, weight) for name, (weight, _) in KINDS.items()), strict=True)
    name = rng.choices(names, weights)[0]
    made = KINDS[name][1](rng)
    if isinstance(made, Body):
        return made
    content = made if isinstance(made, bytes) else dump(made)
    return Body(kind=name, content=content, may_pass=name in MAY_PASS)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def good() -> dict[str, Any]:
    """Return a workflow that can be stored."""
    return {
        "name": "Good",
        "nodes": [
            {"id": "1", "type": "counter", "data": {"form": {"stop": 3}, "config": {}}},
            {"id": "2", "type": "data-transformer", "data": {"form": {"fields": {"x": 1}}}},
            {"id": "3", "type": "debug", "data": {"form": {"message": "{{ data.x }}"}}},
        ],
        "edges": [
            {"id": "a", "source": "1", "target": "2"},
            {"id": "b", "source": "2", "target": "3"},
        ],
    }


def marked(text: str, rng: random.Random) -> bytes:
    """Return a workflow in which raw JSON text stands in the place of one of its values."""
    raw = dump(good())
    places = [b'"Good"', b'"counter"', b'{"stop":3}', b'"a"', b'"{{ data.x }}"', b'{"x":1}']
    return raw.replace(rng.choice(places), text.encode("utf-8", "surrogatepass"), 1)


JUNK: list[Any] = [
    None, True, 0, -1, 1.5, 2**53 - 1, "", "x", " ", "\u202ename", "../..", "__proto__", "é" * 300,
    [], {}, [[]], {"": ""}, [None] * 50, {"a": {"a": {"a": {}}}}, "{{ 9**9 }}", "x" * 5000,
    "os.system", "nodes[0]", "\ufffd", "1e999", "null", {"__class__": "x"}, [1, "a", None],
]  # fmt: skip


def structural(rng: random.Random) -> Any:
    """Put something that does not belong there into one to four places."""
    value = good()
    for _ in range(rng.randint(1, 4)):
        holder, key = rng.choice(list(_places(value)))
        action = rng.random()
        if action < 0.7:
            holder[key] = deepcopy(rng.choice(JUNK))
        elif action < 0.85 and isinstance(holder, dict):
            del holder[key]
        elif isinstance(holder, dict):
            holder[rng.choice(["owner", "id", "is_staff", "__proto__", "x" * 300])] = 1
        else:
            holder.append(deepcopy(rng.choice(JUNK)))
        if not value:
            return value
    return value


def _places(value: Any) -> Any:
    holders, found = [value], []
    while holders:
        holder = holders.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                holders.append(holder[key])
    return found


def flipped(rng: random.Random) -> bytes:
    """Change, remove or add single bytes."""
    raw = bytearray(dump(good()))
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(raw))
        kind = rng.randrange(3)
        if kind == 0:
            raw[at] = rng.randrange(256)
        elif kind == 1:
            del raw[at]
        else:
            raw.insert(at, rng.randrange(256))
    return bytes(raw)


def edges(rng: random.Random) -> Any:
    """Cycles, self-loops, dangling edges, unknown ports."""
    value = good()
    value["edges"] += rng.choice(
        [
            [{"source": "3", "target": "2"}],
            [{"source": "2", "target": "2"}],
            [{"source": "3", "target": "1"}],
            [{"source": "1", "target": "nobody"}],
            [{"source": "", "target": "2"}],
            [{"id": "a", "source": "1", "target": "3"}],
            [{"source": "2", "target": "3", "sourceHandle": "nowhere"}],
            [{"source": "2", "target": "3", "condition": "os.system("}],
            [{"source": "2", "target": "3", "condition": "().__class__"}],
            [{"source": 1, "target": 2}, "edge", None],
        ]
    )
    return value


def ids(rng: random.Random) -> Any:
    value = good()
    value["nodes"].append({**value["nodes"][1], "id": rng.choice(["1", "2", "", None, 7, ["1"]])})
    return value


def types(rng: random.Random) -> Any:
    """Types of nodes that are no types, but could be taken for something to import."""
    value = good()
    value["nodes"][1]["type"] = rng.choice(CLASS_PATHS)
    return value


CLASS_PATHS = [
    "os.system", "builtins.eval", "subprocess.Popen", "nodes.builtin.transform.DataTransformer",
    "nodes.base:BaseNode", "__import__", "antigravity", "this", "counter\u200b", "\u0441ounter",
    "\uff43ounter",
    "Counter ", "counter\n", "../counter", "counter.py", "orchestrator.models.Workflow",
    "django.core.management.call_command", "ctypes.CDLL", "importlib.import_module", "",
]  # fmt: skip


def many_nodes(rng: random.Random) -> bytes:
    count = rng.choice([2_001, 20_000, 100_000])
    return b'{"nodes":[' + b",".join([b'{"id":"1"}'] * count) + b"]}"


def many_edges(rng: random.Random) -> bytes:
    count = rng.choice([10_001, 100_000, 500_000])
    return b'{"nodes":[{"id":"1","type":"counter"}],"edges":[' + b",".join([b"{}"] * count) + b"]}"


def deep(rng: random.Random) -> bytes:
    depth = rng.choice([65, 100, 1_000, 10_000, 200_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    whole = opening * depth + b"1" + closing * depth
    inner = whole if rng.random() < 0.7 else opening * depth
    return inner if rng.random() < 0.5 else b'{"nodes":[{"data":{"form":' + inner + b"}}]}"


def numbers(rng: random.Random) -> bytes:
    return marked(
        rng.choice(
            ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "9007199254740993",
             "1" + "0" * 400, "0x10", "01", "1.", "--1", "-" + "9" * 5000]
        ),
        rng,
    )  # fmt: skip


def texts(rng: random.Random) -> bytes:
    return marked(
        rng.choice(
            [r'"\ud800"', r'"\udfff\ud800"', r'"a\u0000b"', '"a\0b"', r'{"\ud800":1}', '"\ud800"',
             '"a\nb"', r'"\x41"', "'single'", r'{"a\u0000":1}', '"open', r'"\u12"']
        ),
        rng,
    )  # fmt: skip


def twice(rng: random.Random) -> bytes:
    return rng.choice(
        [
            b'{"nodes":[],"nodes":[],"edges":[]}',
            b'{"name":"a","nodes":[{"id":"1","id":"2","type":"counter"}],"edges":[]}',
            b'{"name":"a","name":"b"}',
            b'{"__proto__":{},"__proto__":{}}',
        ]
    )


def not_utf8(rng: random.Random) -> bytes:
    return rng.choice(
        [
            dump(good()).decode().encode("utf-16"),
            dump(good()).decode().encode("utf-32"),
            b"\xef\xbb\xbf" + dump(good()),
            dump(good()).replace(b"Good", b"G\xffd"),
            rng.randbytes(rng.randint(1, 2000)),
            b"\x80\x04\x95\x00.",
            b"\x1f\x8b\x08\x00" + rng.randbytes(50),
        ]
    )


def large(rng: random.Random) -> bytes:
    return b'{"name":"' + b"x" * rng.choice([2048 * KB, 3072 * KB]) + b'"}'


def bidi(rng: random.Random) -> Any:
    value = good()
    value["name"] = rng.choice(["\u202egnp.exe", "\u2066x\u2069", "\u200f", "a\u0300" * 100])
    value["owner"], value["id"], value["is_staff"] = 1, "admin", True
    value["__proto__"] = {"is_staff": True}
    return value


def other_type(rng: random.Random) -> Body:
    kind = rng.choice(
        ["text/plain", "text/xml", "application/x-www-form-urlencoded", "multipart/form-data",
         "application/x-yaml", "application/octet-stream", "application/x-python-pickle", "x",
         "application/json/x", "", "application/json; charset=" + "x" * 500]
    )  # fmt: skip
    # REST framework looks at the type alone: JSON of another charset is read as UTF-8.
    passes = kind.startswith("application/json;")
    return Body(
        kind="other type", content=dump(good()), content_type=kind, may_pass=passes or not kind
    )


def control(rng: random.Random) -> Any:
    return good()


KINDS: dict[str, tuple[float, Callable[[random.Random], Any]]] = {
    "control": (4, control),
    "structure": (30, structural),
    "bytes": (20, flipped),
    "edges": (7, edges),
    "ids": (4, ids),
    "types": (6, types),
    "numbers": (7, numbers),
    "texts": (7, texts),
    "twice": (3, twice),
    "not UTF-8": (5, not_utf8),
    "deep": (3, deep),
    "bidi, extra fields": (2, bidi),
    "other type": (4, other_type),
    "many nodes": (0.3, many_nodes),
    "many edges": (0.3, many_edges),
    "large": (0.4, large),
}
"""By name: how often, and what makes one."""
MAY_PASS = {"control", "structure", "bytes", "edges", "bidi, extra fields"}
