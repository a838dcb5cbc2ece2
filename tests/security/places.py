"""Places that are searched for a secret in each of its forms."""

from collections.abc import Iterable

MARK = b"[redacted]"


class Places:
    def __init__(self, forms: Iterable[str]) -> None:
        self._forms = [form.encode() for form in forms]
        self._searched: dict[str, int] = {}
        self._marks: dict[str, int] = {}
        self._found: list[tuple[str, str]] = []

    def add(self, place: str, content: str | bytes) -> None:
        """Search what a place has shown."""
        raw = content.encode() if isinstance(content, str) else content
        self._searched[place] = self._searched.get(place, 0) + len(raw)
        self._marks[place] = self._marks.get(place, 0) + raw.count(MARK)
        for form in self._forms:
            at = raw.find(form)
            if at >= 0:
                around = raw[max(0, at - 80) : at + len(form) + 20]
                self._found.append((place, around.decode("utf-8", "replace")))

    def redacted(self, place: str) -> int:
        """Return how often something was taken out there."""
        return self._marks.get(place, 0)

    def found(self) -> list[tuple[str, str]]:
        return self._found

    def table(self) -> str:
        """Return a Markdown table with one line for each place."""
        hits = [place for place, _ in self._found]
        lines = ["| place | kB searched | redacted | found |", "| --- | --- | --- | --- |"]
        for place, size in sorted(self._searched.items()):
            marks = self._marks[place]
            lines.append(f"| {place} | {size / 1024:.0f} | {marks} | {hits.count(place)} |")
        return "\n".join(lines)
