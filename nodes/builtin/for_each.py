"""The for-each node."""

from dataclasses import dataclass
from typing import ClassVar

from nodes.base import ConditionalNode
from nodes.builtin.items import add_fields, field_reader
from nodes.contract import Json, NodeOutput, RoundsContext
from orchestrator.exceptions import NodeFailed

EACH, DONE = "each", "done"


@dataclass(frozen=True, slots=True)
class _Progress:
    """The item, its elements, how many of them have gone round, and what came back."""

    item: NodeOutput
    elements: list[Json]
    passed: int
    results: list[Json]


class ForEach(ConditionalNode):
    """Sends the elements of a list out by `each`, one after another, and then the item by `done`.

    What leads back to it is collected as results, in the order of the elements. An element begins
    when everything that the one before it has set off has ended; one that is dropped on its way
    gives no result. The whole is one iteration: if an element fails, the item fails.
    On the bench it gives the first element, so that the nodes behind `each` can be tried.
    """

    identifier = "for-each"
    label = "For each"
    description = "Runs the nodes behind it for every element of a list and collects the results."
    icon = "repeat"
    category = "flow"
    form_class = "nodes.builtin.for_each_forms.ForEachForm"
    output_ports: ClassVar[tuple[str, ...]] = (EACH, DONE)
    repeats = EACH

    async def setup(self) -> None:
        self._field = str(self.values["field"])
        self._read = field_reader(self._field)
        self._target = str(self.values["target"])

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: RoundsContext
    ) -> NodeOutput:
        ended = context.take_round()
        if ended is None:
            progress = _Progress(item, self._elements(item), 0, [])
        else:
            progress = ended.kept
            progress.results.extend(one.data for one in ended.returned)
        at = progress.passed
        if at == len(progress.elements):
            self.set_output(DONE)
            whole = progress.item
            return whole.with_data(add_fields(whole.data, {self._target: progress.results}))
        if context.mode != "bench":
            context.run_again(_Progress(progress.item, progress.elements, at + 1, progress.results))
        self.set_output(EACH)
        element = progress.elements[at]
        data = element if isinstance(element, dict) else {"value": element}
        whole = progress.item
        return NodeOutput(f"{whole.id}:{self.id}:{at + 1}", data, whole.metadata)

    def _elements(self, item: NodeOutput) -> list[Json]:
        value = self._read(item.data)
        if isinstance(value, list):
            return value
        found = "missing" if value is None else f"{type(value).__name__}, no list"
        raise NodeFailed(
            f"the field {self._field!r} is {found}", node_id=self.id, error_type="NoList"
        )
