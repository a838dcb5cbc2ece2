"""A node that tells its secret in every way it can think of."""

import base64
import json
import logging
import sys
from urllib.parse import quote

from nodes.base import BlockingNode

logger = logging.getLogger(__name__)
WAYS = (
    "output", "key", "base64", "url", "json", "hex", "header", "state", "emit", "metadata",
    "print", "log", "raise", "raise_encoded", "die_with_log", "cut",
)  # fmt: skip


class Leaky(BlockingNode):
    identifier = "leaky"
    label = "Leaky"
    description = "Tells its secret, each item in another way."
    form_class = "tests.nodes.leaky_forms.LeakyForm"
    stateful = True

    async def execute(self, item, context):
        credential = await self.credential("login")
        secret = credential.values["token"]
        way = self.values["way"] or WAYS[item.data["value"] % len(WAYS)]
        return item.with_data({**item.data, "way": way, "told": self._tell(way, secret, context)})

    def _tell(self, way, secret, context):
        encoded = base64.b64encode(f"ada:{secret}".encode()).decode()
        if way == "output":
            return secret
        if way == "key":
            return {secret: 1}
        if way == "base64":
            return encoded
        if way == "url":
            return f"https://ada:{quote(secret, safe='')}@host/?key={quote(secret)}"
        if way == "json":
            return json.dumps({"inner": json.dumps({"token": secret})})
        if way == "hex":
            return secret.encode().hex()
        if way == "header":
            return {"Authorization": f"Bearer {secret}", "X-Other": f"Basic {encoded}"}
        if way == "state":
            self.state = {"last": secret}
        elif way == "emit":
            context.emit("leaks", context.new_item({"way": "emit", "told": secret}))
        elif way == "metadata":
            return [secret, [secret, {"deep": [secret]}]]
        elif way == "print":
            print("printed", secret, encoded)  # noqa: T201
            print("printed", secret, file=sys.stderr)  # noqa: T201
        elif way == "log":
            logger.warning("logged %s and %s", secret, encoded)
        elif way == "cut":
            raise RuntimeError("x" * 1_995 + secret)
        elif way == "raise_encoded":
            raise ValueError(f"cannot call https://ada:{quote(secret, safe='')}@host/: {encoded}")
        elif way == "die_with_log":
            try:
                raise ConnectionError(secret)
            except ConnectionError:
                logger.exception("it did not work with %s", secret)
                raise
        elif way == "raise":
            raise RuntimeError(f"refused: {secret}")
        return None


class LeakyOnce(Leaky):
    identifier = "leaky-once"
    label = "Leaky, for runs"
    stateful = False
