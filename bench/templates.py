"""Forms and templates in a loop: what a node's settings cost for each item.

Five nodes whose form holds no template are run by a FlowRunner beside five nodes without a form.
One in-line template in a node's form, rendered and cleaned, is compared with the bare
`template.render` of Jinja for the same text, which has no limits and no sandbox. Rounds are
interleaved, and each pair is measured in turns; the ratios are medians of those of the rounds.

    python bench/templates.py [ROUNDS]
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from chain import Pass, ours  # first, because it makes the project importable
from django.conf import settings
from jinja2 import Environment

from nodes.contract import NodeConfig, NodeOutput

settings.configure(USE_I18N=False, USE_TZ=True)

from django import forms  # noqa: E402

from forms.base import BaseForm  # noqa: E402

RENDERINGS = 50_000
TEXT = "order {{ data.id }} of {{ data.customer.name }}"
ITEM = NodeOutput("1", {"id": 48213, "customer": {"name": "Ada Lovelace"}})
FIXED_BUDGET, TEMPLATE_BUDGET = 1.05, 2.0


class SubjectForm(BaseForm):
    subject = forms.CharField(max_length=200, initial="order")


class Settled(Pass):
    """Does nothing either, and has a form."""

    identifier = "settled"

    @classmethod
    def load_form(cls) -> type[BaseForm]:
        return SubjectForm


def seconds(render: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(RENDERINGS):
        render()
    return (time.perf_counter() - begun) / RENDERINGS


async def node() -> float:
    """Return the seconds of one rendering in a node."""
    made = Settled(NodeConfig(id="1", type="settled", form={"subject": TEXT}))
    await made.init()
    made.render(ITEM)
    if made.values != {"subject": "order 48213 of Ada Lovelace"}:
        raise SystemExit(f"rendered {made.values}")
    return seconds(lambda: made.render(ITEM))


async def plain() -> float:
    """Return the seconds of one rendering by Jinja."""
    template = Environment().from_string(TEXT)
    return seconds(lambda: template.render(data=ITEM.data))


async def bare_chain() -> float:
    return 1 / await ours(Pass)


async def settled_chain() -> float:
    return 1 / await ours(Settled)


def report(name: str, ours: list[float], theirs: list[float], budget: float) -> bool:
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    reached = ratio <= budget
    verdict = "reached" if reached else "NOT reached"
    print(f"{name:<40} {ratio:6.2f}   at most {budget:g}: {verdict}")
    return reached


async def main(rounds: int) -> int:
    contenders: dict[str, Callable[[], Awaitable[float]]] = {
        "a node without a form": bare_chain,
        "a node with a form": settled_chain,
        "plain Jinja": plain,
        "a templated field": node,
    }
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in reversed(names) if number % 2 else names:
            seen[name].append(await contenders[name]())
    for name, times in seen.items():
        print(f"{name:<24} {statistics.median(times) * 1e6:8.2f} µs per item")
    bare, settled, jinja, templated = seen.values()
    reached = [
        report("form without templates / no form", settled, bare, FIXED_BUDGET),
        report("one templated field / plain Jinja", templated, jinja, TEMPLATE_BUDGET),
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)))
