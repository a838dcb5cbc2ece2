"""What LABEL_RESOURCES may say."""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from orchestrator.conf import label_resources
from orchestrator.runtime.cluster import resources_of
from tests.deployment import ROOT


def test_labels_together_ask_for_the_most_of_each(settings):
    said = '{"gpu": {"num_gpus": 1, "num_cpus": 2}, "big": {"num_cpus": 0.5, "memory": 1e9}}'
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "LABEL_RESOURCES": label_resources(said)}
    assert resources_of(["gpu"]) == {"num_gpus": 1, "num_cpus": 2}
    assert resources_of(["big", "gpu", "eu"]) == {"num_gpus": 1, "num_cpus": 2, "memory": 1e9}
    assert resources_of([]) == {}


def test_the_example_of_the_document_is_taken():
    (said,) = re.findall("LABEL_RESOURCES='(.*)'", (ROOT / "docs/ray.md").read_text())
    assert label_resources(said)["gpu"] == {"num_gpus": 1}


@pytest.mark.parametrize("said", ["gpu", "[]", '{"gpu": 1}', '{"gpu": ["num_gpus"]}', '""'])
def test_it_is_an_object_of_objects(said):
    with pytest.raises(ImproperlyConfigured, match="LABEL_RESOURCES must be an object"):
        label_resources(said)


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "NaN", "Infinity", '"1"', "true", "null"])
def test_an_amount_is_a_part_or_whole(amount):
    with pytest.raises(ImproperlyConfigured, match="num_gpus of gpu must be"):
        label_resources(f'{{"gpu": {{"num_gpus": {amount}}}}}')
