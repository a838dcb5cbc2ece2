"""What Prometheus would see of `/metrics`."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.families = {f.name: f for f in text_string_to_metric_families(text)}
        self.samples = [s for family in self.families.values() for s in family.samples]

    @property
    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}

    def all(self, name: str, **labels: Any) -> list[Any]:
        """Return the samples of a name whose labels have these values."""
        wanted = {key: str(value) for key, value in labels.items()}
        return [s for s in self.samples if s.name == name and wanted.items() <= s.labels.items()]

    def value(self, name: str, **labels: Any) -> float | None:
        """Return the value of the one sample that there is, or None without one."""
        found = self.all(name, **labels)
        assert len(found) < 2, found
        return found[0].value if found else None


def scrape(client: Any, **headers: str) -> Scrape:
    """Ask for `/metrics` with a client of httpx or of Django's."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    return Scrape(answer.content.decode())
