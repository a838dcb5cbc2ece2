"""One node as it goes to a bench child, without its workflow."""

from dataclasses import asdict, fields
from typing import Any

from nodes.contract import NodeConfig, NodeOptions, PoolType, RetryPolicy


def node_json(config: NodeConfig) -> dict[str, Any]:
    """Return a node as JSON; `options` are those of `data.config` that differ from the default."""
    return {
        "id": config.id,
        "type": config.type,
        "form": dict(config.form),
        "options": _options_json(config.options),
    }


def node_config(raw: dict[str, Any]) -> NodeConfig:
    """Return the node that `node_json` has made JSON of."""
    options = dict(raw["options"])
    if options.get("pool"):
        options["pool"] = PoolType[options["pool"].upper()]
    if options.get("retry"):
        retry = options["retry"]
        for name in ("retry_on", "give_up_on"):
            retry = {**retry, name: tuple(retry.get(name, ()))}
        options["retry"] = RetryPolicy(**retry)
    return NodeConfig(
        id=raw["id"], type=raw["type"], form=raw["form"], options=NodeOptions(**options)
    )


def _options_json(options: NodeOptions) -> dict[str, Any]:
    changed = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != field.default
    }
    if "pool" in changed:
        changed["pool"] = options.pool.name.lower() if options.pool is not None else None
    if options.retry is not None:
        changed["retry"] = asdict(options.retry)
    return changed
