"""A stream as one writes it with redis-py: 100 entries a call, and no guarantee but the group's.

At a low rate it sends at once what there is.
"""

import itertools

import orjson
import redis
from sides import Sink, Work, ready

_BATCH = 100
_STREAM, _GROUP, _NAME = "stream", "group", "consumer"


def produce(work: Work) -> None:
    client = redis.Redis.from_url(work.url)
    items = iter(work.paced())
    while batch := list(itertools.islice(items, 1 if work.rate else _BATCH)):
        with client.pipeline(transaction=False) as pipe:
            for item in batch:
                pipe.xadd(_STREAM, {"b": orjson.dumps(item)})
            pipe.execute()


def consume(work: Work) -> None:
    client = redis.Redis.from_url(work.url)
    client.xgroup_create(_STREAM, _GROUP, "0", mkstream=True)
    sink = Sink(work)
    ready()
    while not sink.full:
        reply = client.xreadgroup(_GROUP, _NAME, {_STREAM: ">"}, count=_BATCH, block=1000)
        rows = reply[0][1] if isinstance(reply, list) and reply else _rows(reply)
        if not rows:
            continue
        for _, fields in rows:
            sink.take(orjson.loads(fields[b"b"]))
        ids = [entry_id for entry_id, _ in rows]
        with client.pipeline(transaction=False) as pipe:
            pipe.xack(_STREAM, _GROUP, *ids)
            pipe.xdel(_STREAM, *ids)
            pipe.execute()
    sink.report()


def _rows(reply: object) -> list:
    """The newer protocol answers with a mapping, and one more list around the entries."""
    for found in dict(reply or {}).values():
        return found[0]
    return []
