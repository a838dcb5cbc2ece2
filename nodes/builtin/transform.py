"""Nodes that make new fields: data-transformer, parse-json and parse-regex."""

import re

from nodes.base import BlockingNode
from nodes.builtin.items import MAX_SCANNED, add_fields, field_reader, text_field
from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import InvalidPayload, NodeFailed
from storage.codec import decode


class DataTransformer(BlockingNode):
    """Adds fields made from templates; `total` with `{{ data.price * data.count }}`."""

    identifier = "data-transformer"
    label = "Transform"
    description = "Adds fields to an item; each value is a text or a template over the item."
    icon = "shuffle"
    category = "transform"
    form_class = "nodes.builtin.transform_forms.DataTransformerForm"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        return item.with_data(add_fields(item.data, self.values["fields"]))


class ParseJson(BlockingNode):
    """Parses the JSON text of a field. An object's fields are added to the item; with a target, the
    value is put there as it is. Without one, what is no object becomes the field `value`."""

    identifier = "parse-json"
    label = "Parse JSON"
    description = "Turns the JSON text of a field into fields of the item."
    icon = "braces"
    category = "transform"
    form_class = "nodes.builtin.transform_forms.ParseJsonForm"

    async def setup(self) -> None:
        self._field = str(self.values["field"])
        self._read = field_reader(self._field)
        self._target = str(self.values["target"] or "")

    async def execute(self, item: NodeOutput) -> NodeOutput:
        text = text_field(self, self._field, self._read(item.data))
        try:
            value: Json = decode(text)
        except InvalidPayload as error:
            raise NodeFailed(
                f"the field {self._field!r}: {error}", node_id=self.id, error_type="InvalidJson"
            ) from None
        if self._target or not isinstance(value, dict):
            value = {self._target or "value": value}
        return item.with_data(add_fields(item.data, value))


class ParseRegex(BlockingNode):
    """Searches the text of a field; each named group becomes a field, None if it took no part.

    The text has at most 64 Ki characters. That bounds patterns whose time grows with the square of
    the text; one with nested repeats, such as `(a+)+$`, may need exponential time, and then the
    watch over the host ends it. Write `a+$`.
    """

    identifier = "parse-regex"
    label = "Parse with a pattern"
    description = "Takes fields out of a text by the named groups of a regular expression."
    icon = "regex"
    category = "transform"
    form_class = "nodes.builtin.transform_forms.ParseRegexForm"

    async def setup(self) -> None:
        self._field = str(self.values["field"])
        self._read = field_reader(self._field)
        self._search = re.compile(str(self.values["pattern"])).search
        self._passes = self.values["no_match"] == "pass"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        text = text_field(self, self._field, self._read(item.data), MAX_SCANNED)
        match = self._search(text)
        if match is not None:
            found: dict[str, Json] = match.groupdict()
            if self._passes:
                found["matched"] = True
            return item.with_data(add_fields(item.data, found))
        if self._passes:
            return item.with_data(add_fields(item.data, {"matched": False}))
        raise NodeFailed(
            f"the pattern does not match the field {self._field!r}: {text[:100]!r}",
            node_id=self.id,
            error_type="NoMatch",
        )
