"""How a file becomes rows: lines, JSON lines or CSV, each with the offset where it ends.

A row that cannot be read becomes `{"line": ..., "error": ...}` instead of an end of the loop; what
follows it is read as usual.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Protocol

from nodes.builtin.items import free_name
from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload, NodeFailed
from storage.codec import decode

CHUNK = 256 * 1024
"""Bytes that are read at once; a longer line is not read but reported."""
MAX_SHOWN = 1000
"""Characters of a bad row that are passed on."""
BOM = b"\xef\xbb\xbf"

Row = tuple[dict[str, Json], int]
"""The data, and the offset in the file after it."""


class Parser(Protocol):
    """Makes rows of whole lines; `parse` may leave the last lines, and tells where it stopped."""

    def parse(self, raw: bytes, start: int, last: bool) -> tuple[list[Row], int]: ...


class LinesParser:
    """`{"line": text}` for each line, the empty ones included."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def parse(self, raw: bytes, start: int, last: bool) -> tuple[list[Row], int]:
        lines = _split(raw)
        ends = list(accumulate(map(len, lines), initial=start))
        rows = [
            ({"line": _text(line, self._encoding)}, end)
            for line, end in zip(lines, ends[1:], strict=True)
        ]
        return rows, ends[-1]


class JsonLinesParser:
    """The object of each line; a value that is no object comes as `{"value": ...}`."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def parse(self, raw: bytes, start: int, last: bool) -> tuple[list[Row], int]:
        rows: list[Row] = []
        end = start
        for line in _split(raw):
            end += len(line)
            if line.strip():
                rows.append((self._value(line), end))
        return rows, end

    def _value(self, line: bytes) -> dict[str, Json]:
        try:
            value = decode(line if self._encoding == "utf-8" else line.decode(self._encoding))
        except (InvalidPayload, UnicodeDecodeError) as error:
            return bad_row(_text(line, self._encoding), str(error))
        return value if isinstance(value, dict) else {"value": value}


class CsvParser:
    """A field of text for each column; names come from the first line, or are `column_1` and so on.

    A quoted cell may hold line breaks. After a row that is not CSV the next line is a new row.
    """

    def __init__(self, encoding: str, delimiter: str, has_header: bool) -> None:
        self._encoding = encoding
        self._delimiter = delimiter
        self._has_header = has_header
        self._header: list[str] | None = None

    def parse(self, raw: bytes, start: int, last: bool) -> tuple[list[Row], int]:
        lines = _split(raw)
        feed = _Feed([line.decode(self._encoding, "replace") for line in lines], last)
        reader = csv.reader(feed, delimiter=self._delimiter, strict=True)
        ends = list(accumulate(map(len, lines), initial=start))
        rows: list[Row] = []
        first = 0
        for first, cells in feed.records(reader):
            data = self._data(cells, feed, first)
            if data is not None:
                rows.append((data, ends[feed.at]))
        return rows, ends[feed.done]

    def read_header(self, raw: bytes) -> None:
        """Take the names from the beginning of the file, to go on in the middle of it."""
        if self._has_header and self._header is None:
            self.parse(raw.removeprefix(BOM), 0, False)

    def _data(
        self, cells: list[str] | csv.Error, feed: "_Feed", first: int
    ) -> dict[str, Json] | None:
        if isinstance(cells, csv.Error):
            if self._header is None and self._has_header:
                raise NodeFailed(f"the first line holds no column names: {cells}")
            return bad_row(feed.lines[first], str(cells))
        if not cells:
            return None
        if self._header is None:
            self._header = column_names(cells if self._has_header else [""] * len(cells))
            if self._has_header:
                return None
        if len(cells) != len(self._header):
            text = "".join(feed.lines[first : feed.at])
            return bad_row(text, f"{len(cells)} cells, but {len(self._header)} columns")
        return dict(zip(self._header, cells, strict=True))


class _Incomplete(Exception):
    """The lines end inside a record."""


class _Feed:
    """Gives lines to a csv reader and keeps count of them: `done` are those of whole records."""

    def __init__(self, lines: Sequence[str], last: bool) -> None:
        self.lines = lines
        self.at = 0
        self.done = 0
        self._end: type[Exception] = StopIteration if last else _Incomplete

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        at = self.at
        if at == len(self.lines):
            raise self._end
        self.at = at + 1
        return self.lines[at]

    def records(self, reader: Any) -> Iterator[tuple[int, list[str] | csv.Error]]:
        """Yield the first line and the cells, or the error, of each record."""
        while True:
            first = self.at
            try:
                cells: list[str] | csv.Error = next(reader)
            except (_Incomplete, StopIteration):
                return
            except csv.Error as error:
                cells = error
                self.at = first + 1
            yield first, cells
            self.done = self.at


def column_names(cells: Sequence[str]) -> list[str]:
    """Return names that are not empty and differ: a second `price` is `price_2`."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        names.append(free_name(cell.strip() or f"column_{number}", names))
    return names


def read_rows(fd: int, start: int, parser: Parser, last: bool) -> tuple[list[Row], int]:
    """Read the next rows from an offset on, and tell where they end.

    The end is the start when there is nothing more yet. `last` says that the file will not grow,
    so that a last line without a line break is whole.
    """
    raw = os.pread(fd, CHUNK, start)
    ends_here = last and len(raw) < CHUNK
    whole = len(raw) if ends_here else raw.rfind(b"\n") + 1
    rows: list[Row] = []
    end = start
    if whole:
        skip = len(BOM) if start == 0 and raw.startswith(BOM) else 0
        # NUL is not allowed in an item; a byte for a byte keeps the offsets right.
        text = raw[skip:whole].replace(b"\0", b"?")
        rows, end = parser.parse(text, start + skip, ends_here)
        end = start if end == start + skip else end
    if end == start and len(raw) == CHUNK:
        return _too_long(fd, start, raw, last)
    return rows, end


def bad_row(text: str, error: str) -> dict[str, Json]:
    """Return what stands for a row that cannot be read."""
    return {"line": text.rstrip("\r\n")[:MAX_SHOWN], "error": error}


def _too_long(fd: int, start: int, raw: bytes, last: bool) -> tuple[list[Row], int]:
    found, at = raw.find(b"\n"), start
    while found < 0 and raw:
        at += len(raw)
        raw = os.pread(fd, CHUNK, at)
        found = raw.find(b"\n")
    if found < 0 and not last:
        return [], start
    end = at + found + 1 if found >= 0 else at
    shown = os.pread(fd, MAX_SHOWN, start).replace(b"\0", b"?").decode(errors="replace")
    return [(bad_row(shown.partition("\n")[0], f"a row has at most {CHUNK} bytes"), end)], end


def _split(raw: bytes) -> list[bytes]:
    """Split at line feeds only, and keep them."""
    lines = [line + b"\n" for line in raw.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _text(line: bytes, encoding: str) -> str:
    return line.rstrip(b"\r\n").decode(encoding, "replace")
