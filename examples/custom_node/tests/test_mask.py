"""mask-field: what it masks, and what it says about bad settings."""

import pytest
from mask_node.mask import MaskField

from nodes.testing import driven
from orchestrator.exceptions import WorkflowInvalid


@pytest.mark.parametrize(
    ("keep", "text", "masked"),
    [
        (4, "4111111111111111", "************1111"),
        (0, "secret", "******"),
        (4, "abcd", "****"),
        (4, "", ""),
    ],
)
async def test_masks_all_but_the_last_characters(keep: int, text: str, masked: str) -> None:
    async with driven(MaskField, {"field": "card", "keep": keep}) as run:
        assert await run.data({"id": 1, "card": text}) == {"id": 1, "card": masked}


async def test_an_item_without_the_field_fails() -> None:
    async with driven(MaskField, {"field": "card"}) as run:
        with pytest.raises(ValueError, match="'card'"):
            await run.data({"id": 1})


async def test_bad_settings_are_named() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(MaskField, {"keep": -1}):
            pass
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"data.form.field", "data.form.keep"}
