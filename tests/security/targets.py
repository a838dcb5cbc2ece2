"""Every place of the built-in nodes that takes a template, and how one is put there."""

from dataclasses import dataclass
from typing import Any

from forms.choices import saved_values
from nodes.base import BaseNode
from nodes.registry import NodeRegistry

FORMS: dict[str, dict[str, Any]] = {
    "aggregate": {"key": "name", "count": 1},
    "data-transformer": {"fields": {"x": 1}},
    "debug": {"message": "seen"},
    "deduplicate": {"key": "name"},
    "dynamic-delay": {"seconds": 0},
    "filter": {"field": "name", "operator": "equals", "value": "Ada"},
    "group": {"members": [{"name": "m", "tool": "echo", "arguments": {"x": 1}}]},
    "http-request": {
        "url": "http://127.0.0.1:1/",
        "query": {"x": 1},
        "headers": {"x": 1},
        "json": {"x": 1},
        "fields": {"x": 1},
        "text": "seen",
        "file": "seen",
        "timeout": 1,
    },
    "http-response": {"status": 200, "body": "seen"},
    "if-condition": {"field": "name", "operator": "equals", "value": "Ada"},
    "merge": {"key": "name", "part": "name"},
    "rate-limit": {"limit": 1000, "key": "name"},
    "redis-publish": {"address": "redis://127.0.0.1:1/0", "name": "a", "message": "seen"},
    "send-email": {
        "credential": "mail",
        "sender": "a@example.org",
        "to": "a@example.org",
        "cc": "a@example.org",
        "bcc": "a@example.org",
        "reply_to": "a@example.org",
        "subject": "seen",
        "text": "seen",
    },
    "sql-query": {"file": "a.sqlite3", "sql": "SELECT :x", "values": {"x": 1}},
    "sub-workflow": {"workflow": "prices", "queue": "asked", "data": {"x": 1}},
    "switch": {"value": "name", "cases": {"Ada": "ada"}},
    "tool": {"tool": "echo", "arguments": {"x": 1}},
}
"""Valid settings of every node that takes templates."""
CHOOSING = {"send-email", "sub-workflow"}
"""Nodes that choose from rows of the database, which some of these tests have not."""
SHOWN: dict[str, dict[str, Any]] = {
    "http-request.json": {"method": "POST", "body": "json"},
    "http-request.fields": {"method": "POST", "body": "form"},
    "http-request.text": {"method": "POST", "body": "text"},
    "http-request.file": {"method": "POST", "body": "file"},
}
"""Settings by which a field is shown that is hidden otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One field of one node type."""

    node_class: type[BaseNode]
    field: str

    @property
    def name(self) -> str:
        return f"{self.node_class.identifier}.{self.field}"

    def form(self, source: str) -> dict[str, Any]:
        """Return valid settings but for the template in this field."""
        settings = {**FORMS[self.node_class.identifier], **SHOWN.get(self.name, {})}
        return {**settings, self.field: _with_template(settings[self.field], source)}


def taken(value: Any) -> Any:
    """Return what stands in a field's value where its template was."""
    if isinstance(value, list):  # the members of a group, or the addresses of a mail
        members = [each["arguments"]["x"] for each in value if isinstance(each, dict)]
        return members[0] if members else ", ".join(value)
    return value["x"] if isinstance(value, dict) and set(value) == {"x"} else value


def _with_template(value: Any, source: str) -> Any:
    """Return a field's value with the template where it takes one."""
    if isinstance(value, list):
        return [{**member, "arguments": {"x": source}} for member in value]
    return {"x": source} if isinstance(value, dict) else source


def targets() -> list[Target]:
    """Return all of them, of all built-in nodes, those that are written tomorrow included."""
    registry = NodeRegistry()
    registry.discover()
    found = []
    for node_class in registry:
        form_class = node_class.load_form()
        built_in = node_class.__module__.startswith("nodes.builtin")
        if form_class is not None and built_in:
            with saved_values():
                form = form_class(FORMS.get(node_class.identifier, {}))
            names = [name for name in form.fields if form.takes_template(name)]
            found += [Target(node_class=node_class, field=name) for name in names]
    return found


EVERY = targets()
TARGETS = [target for target in EVERY if target.node_class.identifier not in CHOOSING]


def workflow(source: str, name: str = "Hostile") -> dict[str, Any]:
    """Return a workflow that has the template in every field of every node."""
    nodes = [
        {
            "id": f"n{index}",
            "type": target.node_class.identifier,
            "data": {"form": target.form(source)},
        }
        for index, target in enumerate(TARGETS)
    ]
    source_node = {"id": "in", "type": "counter", "data": {"form": {"stop": 1}}}
    edges = [{"source": "in", "target": node["id"]} for node in nodes]
    return {"name": name, "nodes": [source_node, *nodes], "edges": edges}
