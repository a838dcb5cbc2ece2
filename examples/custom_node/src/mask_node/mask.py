"""The mask-field node."""

from nodes.base import BlockingNode
from nodes.contract import NodeOutput


class MaskField(BlockingNode):
    """Masks a text field, but for its last characters."""

    identifier = "mask-field"
    label = "Mask a field"
    description = "Replaces the characters of a text by *, but for the last few."
    icon = "eye-off"
    category = "transform"
    # Named, not imported: the form is loaded, and Django with it, when it is needed.
    form_class = "mask_node.mask_forms.MaskFieldForm"

    async def setup(self) -> None:
        # Both settings are the same for every item, so they are read once.
        self._field = str(self.values["field"])
        self._keep: int = self.values["keep"]

    async def execute(self, item: NodeOutput) -> NodeOutput:
        text = item.data.get(self._field)
        if not isinstance(text, str):
            raise ValueError(f"the field {self._field!r} is missing or no text")
        shown = text[len(text) - self._keep :] if len(text) > self._keep > 0 else ""
        # The item is never changed in place: a fork or a retry would see it.
        return item.with_data({**item.data, self._field: shown.rjust(len(text), "*")})
