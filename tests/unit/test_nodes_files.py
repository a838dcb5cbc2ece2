"""file-reader and file-writer, on real files."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes import files
from nodes.builtin.file_reader import FileReader
from nodes.builtin.file_writer import FileWriter
from nodes.builtin.rows import CHUNK, column_names
from nodes.contract import ExecutionCompleted, NodeConfig
from nodes.testing import Driver, driven
from orchestrator.exceptions import NodeFailed, WorkflowInvalid


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(files, "_folder", None)
    files.configure(tmp_path)
    yield tmp_path


async def read(form: dict[str, Any], state: Any = None) -> list[dict[str, Any]]:
    async with driven(FileReader, form, state=state) as run:
        return await run.all()


async def test_lines(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"\xef\xbb\xbfone\r\n\ntwo \xff\x00\n\xe2\x80\xa8three")
    found = await read({"path": "a.log"})
    assert [data["line"] for data in found] == ["one", "", "two \ufffd?", "\u2028three"]


async def test_an_empty_file_has_no_rows(folder: Path) -> None:
    for content in (b"", b"\xef\xbb\xbf"):
        (folder / "a").write_bytes(content)
        for form in ("lines", "csv", "jsonl"):
            assert await read({"path": "a", "format": form}) == []


@pytest.mark.parametrize("kind", ["lines", "csv", "jsonl"])
async def test_any_committed_cursor_leads_to_the_rest(folder: Path, kind: str) -> None:
    (folder / "a").write_text('{"n":1},x\n\n"{""n"":2}",y\n"[\n3]",z\n{"n":4},w')
    form = {"path": "a", "format": kind, "has_header": False}
    whole, states = [], []
    async with driven(FileReader, form) as run:
        while isinstance(output := await run.item(), object) and hasattr(output, "data"):
            whole.append(output.data)
            states.append(run.node.state)
    assert len(whole) >= 4
    for done, state in enumerate(states, 1):
        assert await read(form, state) == whole[done:]


async def test_json_lines(folder: Path) -> None:
    (folder / "a").write_text('{"a": 1}\n\n[1]\n{"a": \n{"a": NaN}\n{"a": "\\u0000"}\n{"b": "ä"}\n')
    found = await read({"path": "a", "format": "jsonl"})
    assert [found[0], found[1], found[5]] == [{"a": 1}, {"value": [1]}, {"b": "ä"}]
    assert [sorted(data) for data in found[2:5]] == [["error", "line"]] * 3
    assert found[2]["line"] == '{"a": '


async def test_csv_with_a_header(folder: Path) -> None:
    (folder / "a.csv").write_text('id,,id,note\n1,x,2,"a ""b"",\nc"\n\n3,y,4,d\n')
    assert await read({"path": "a.csv", "format": "csv"}) == [
        {"id": "1", "column_2": "x", "id_2": "2", "note": 'a "b",\nc'},
        {"id": "3", "column_2": "y", "id_2": "4", "note": "d"},
    ]


async def test_csv_without_a_header_and_another_delimiter(folder: Path) -> None:
    (folder / "a.csv").write_bytes("ä;1\nö;2\n".encode("latin-1"))
    form = {"path": "a.csv", "format": "csv", "has_header": False, "delimiter": ";"}
    found = await read({**form, "encoding": "latin-1"})
    assert found == [{"column_1": "ä", "column_2": "1"}, {"column_1": "ö", "column_2": "2"}]


async def test_a_bad_csv_row_is_reported_and_the_next_is_read(folder: Path) -> None:
    (folder / "a.csv").write_text('a,b\n1\n"x"y,2\n3,4\n"open,5\n6,7\n')
    found = await read({"path": "a.csv", "format": "csv"})
    assert [data.get("a") for data in found] == [None, None, "3", None, "6"]
    assert found[0] == {"line": "1", "error": "1 cells, but 2 columns"}
    assert found[1]["line"] == '"x"y,2' and found[3]["line"] == '"open,5'


@pytest.mark.parametrize("kind", ["lines", "jsonl", "csv"])
async def test_a_file_of_many_chunks(folder: Path, kind: str) -> None:
    count = 3 * CHUNK // 100
    with (folder / "a").open("w") as file:
        for number in range(count):
            file.write(f'{{"n":{number},"pad":"{"x" * 90}"}}\n')
    form = {"path": "a", "format": kind, "delimiter": "|", "has_header": False}
    async with driven(FileReader, form) as run:
        found = await run.all(limit=count + 1)
    assert len(found) == count
    assert all(f'"n":{n},' in str(row) or row.get("n") == n for n, row in enumerate(found))


async def test_a_line_that_is_too_long_is_reported_and_left_out(folder: Path) -> None:
    long = b"x" * (2 * CHUNK + 7)
    (folder / "a").write_bytes(b"one\n" + long + b"\ntwo\n" + long)
    found = await read({"path": "a"})
    assert [found[0], found[2]] == [{"line": "one"}, {"line": "two"}]
    for data in (found[1], found[3]):
        assert data["line"] == "x" * 1000 and "at most" in data["error"]


async def test_an_open_quote_does_not_swallow_a_long_file(folder: Path) -> None:
    rows = "\n".join(f"{n},{'y' * 50}" for n in range(2 * CHUNK // 50))
    (folder / "a").write_text(f'a,b\n"open,1\n{rows}\n')
    form = {"path": "a", "format": "csv"}
    async with driven(FileReader, form) as run:
        found = await run.all(limit=20_000)
    assert found[0]["line"] == '"open,1' and "error" in found[0]
    assert [data["a"] for data in found[1:]] == [str(n) for n in range(2 * CHUNK // 50)]


async def next_line(run: Driver) -> str:
    data = await asyncio.wait_for(run.data(), 20)
    assert data is not None
    return str(data["line"])


async def test_follow_waits_for_the_file_and_for_whole_lines(folder: Path) -> None:
    async with driven(FileReader, {"path": "logs/a.log", "follow": True}) as run:
        waiting = asyncio.create_task(next_line(run))
        await asyncio.sleep(0)
        (folder / "logs").mkdir()
        with (folder / "logs" / "a.log").open("w", buffering=1) as log:
            log.write("one\ntw")
            assert await waiting == "one"
            waiting = asyncio.create_task(next_line(run))
            await asyncio.sleep(0)
            log.write("o\nthree\n")
            assert await waiting == "two"
            assert await next_line(run) == "three"


async def test_follow_loses_no_line_when_its_waiting_is_cancelled(folder: Path) -> None:
    path = folder / "a.log"
    path.write_text("0\n")
    async with driven(FileReader, {"path": "a.log", "follow": True}) as run:
        assert await next_line(run) == "0"
        for number in range(1, 30):
            waiting = asyncio.create_task(run.data())
            for _ in range(number % 4):
                await asyncio.sleep(0)
            with path.open("a") as log:
                log.write(f"{number}\n")
            waiting.cancel()
            results = await asyncio.gather(waiting, return_exceptions=True)
            line = await next_line(run) if isinstance(results[0], BaseException) else results[0]
            assert str(number) in str(line)


async def test_follow_starts_again_when_the_file_was_cut_short(folder: Path) -> None:
    path = folder / "a.log"
    path.write_text("a long first line\nsecond\n")
    async with driven(FileReader, {"path": "a.log", "follow": True}) as run:
        assert [await next_line(run), await next_line(run)] == ["a long first line", "second"]
        path.write_text("new\n")
        assert await next_line(run) == "new"


async def test_follow_reads_a_renamed_file_to_its_end_before_the_next(folder: Path) -> None:
    path = folder / "a.log"
    path.write_text("1\n")
    async with driven(FileReader, {"path": "a.log", "follow": True}) as run:
        assert await next_line(run) == "1"
        with path.open("a") as old:
            path.rename(folder / "a.log.1")
            path.touch()
            old.write("2\n3 without an end")
        path.write_text("4\n")
        assert [await next_line(run) for _ in range(3)] == ["2", "3 without an end", "4"]
        state = run.node.state
    assert state == {"inode": path.stat().st_ino, "offset": 2}


async def test_a_cursor_of_another_or_a_shorter_file_is_not_used(folder: Path) -> None:
    path = folder / "a.log"
    path.write_text("1\n2\n")
    inode = path.stat().st_ino
    for state in ({"inode": inode + 1, "offset": 2}, {"inode": inode, "offset": 5}):
        assert [data["line"] for data in await read({"path": "a.log"}, state)] == ["1", "2"]
    found = await read({"path": "a.log"}, {"inode": inode, "offset": 2})
    assert found == [{"line": "2"}]


async def test_follow_csv_waits_for_the_header_and_for_a_whole_record(folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text("a,")
    async with driven(FileReader, {"path": "a.csv", "format": "csv", "follow": True}) as run:
        waiting = asyncio.create_task(run.data())
        await asyncio.sleep(0)
        with path.open("a", buffering=1) as file:
            file.write('b\n1,"x\n')
            await asyncio.sleep(0)
            file.write('y"\n')
        assert await asyncio.wait_for(waiting, 20) == {"a": "1", "b": "x\ny"}


async def test_a_file_that_is_absent_or_outside_is_not_ready(folder: Path) -> None:
    (folder / "out").symlink_to("/etc/hostname")
    for form in ({"path": "absent"}, {"path": "out"}, {"path": "out", "follow": True}):
        with pytest.raises(NodeFailed, match="cannot be read"):
            await read(form)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "x\0y", "a" * 2000])
@pytest.mark.parametrize("node_class", [FileReader, FileWriter])
async def test_a_path_outside_is_refused_when_it_is_saved(
    node_class: type[FileReader] | type[FileWriter], path: str
) -> None:
    node = node_class(NodeConfig(id="1", type="x", form={"path": path}))
    assert "data.form.path" in [problem.path for problem in node.validate()]


def test_column_names_differ_and_are_not_empty() -> None:
    assert column_names(["a", " a ", "", "a_2", "a"]) == ["a", "a_2", "column_3", "a_2_2", "a_3"]


# file-writer


async def write(run: Driver, *items: dict[str, Any]) -> list[str]:
    before = len(run.context.staged)
    for data in items:
        assert await run.data(data) == data
    return list(run.context.staged[before:])


async def test_lines_are_written_when_they_are_applied(folder: Path) -> None:
    async with driven(FileWriter, {"path": "out/a.jsonl"}) as run:
        node: Any = run.node
        assert node.open_effects(None, 0, 1) == {"length": 0, "activation": 1}
        effects = await write(run, {"n": 1, "t": "ä\n"}, {"n": 2})
        assert (folder / "out" / "a.jsonl").read_bytes() == b""
        state = node.apply_effects(effects)
    content = (folder / "out" / "a.jsonl").read_bytes()
    assert content.decode() == '{"n":1,"t":"ä\\n"}\n{"n":2}\n'
    assert state == {"length": len(content), "activation": 1}


async def test_a_new_owner_cuts_to_the_committed_length(folder: Path) -> None:
    async with driven(FileWriter, {"path": "a"}) as run:
        node: Any = run.node
        node.open_effects(None, 0, 1)
        committed = node.apply_effects(await write(run, {"n": 1}))
        node.apply_effects(await write(run, {"n": 2}))  # written, never committed
    async with driven(FileWriter, {"path": "a"}) as run:
        node = run.node
        assert node.open_effects(committed, 0, 1) == committed
        node.apply_effects(await write(run, {"n": 2}, {"n": 3}))
    assert (folder / "a").read_text() == '{"n":1}\n{"n":2}\n{"n":3}\n'


@pytest.mark.parametrize("mode", ["append", "replace"])
async def test_what_is_there_is_kept_when_its_length_is_not_known(folder: Path, mode: str) -> None:
    (folder / "a").write_text('{"n":1}\n{"n":')
    async with driven(FileWriter, {"path": "a", "mode": mode}) as run:
        node: Any = run.node
        node.open_effects({"kept": True}, 0, 1)
        node.apply_effects(await write(run, {"n": 2}))
    assert (folder / "a").read_text() == '{"n":1}\n{"n":\n{"n":2}\n'


async def test_a_write_that_comes_after_the_clean_up_is_refused(folder: Path) -> None:
    async with driven(FileWriter, {"path": "a"}) as run:
        node: Any = run.node
        node.open_effects(None, 0, 1)
    with pytest.raises(NodeFailed, match="not open"):
        node.apply_effects(["late\n"])
    assert (folder / "a").read_text() == ""


async def test_a_failed_write_can_be_repeated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driven(FileWriter, {"path": "a"}) as run:
        node: Any = run.node
        node.open_effects(None, 0, 1)
        effects = await write(run, {"n": 1}, {"n": 2})
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _disk_full)
            with pytest.raises(OSError, match="full"):
                node.apply_effects(effects)
        node.apply_effects(effects)
    assert (folder / "a").read_text() == '{"n":1}\n{"n":2}\n'


def _disk_full(fd: int) -> None:
    raise OSError("the disk is full")


@pytest.mark.parametrize(("mode", "expected"), [("append", "old\n{}\n"), ("replace", "{}\n")])
async def test_a_new_activation_appends_or_replaces(folder: Path, mode: str, expected: str) -> None:
    (folder / "a").write_text("old")  # torn: no line break
    async with driven(FileWriter, {"path": "a", "mode": mode}) as run:
        node: Any = run.node
        committed = node.open_effects({"length": 1, "activation": 1}, 0, 2)
        node.apply_effects(await write(run, {}))
        assert node.open_effects(committed, 0, 2) == committed  # the same activation resumes
        node.apply_effects(await write(run, {}))
    assert (folder / "a").read_text() == expected


async def test_each_slot_has_its_own_segment(folder: Path) -> None:
    async with driven(FileWriter, {"path": "out/a.tar.gz"}) as run:
        node: Any = run.node
        node.open_effects(None, 2, 1)
    assert (folder / "out" / "a.tar-2.gz").exists() and not (folder / "out" / "a.tar.gz").exists()


async def test_csv_has_its_columns_once(folder: Path) -> None:
    form = {"path": "a.csv", "format": "csv", "columns": "id, note ,tags"}
    for activation in (1, 2):
        async with driven(FileWriter, form) as run:
            node: Any = run.node
            node.open_effects(None, 0, activation)
            items = ({"id": 1, "note": 'a,"b"\n', "tags": ["x"]}, {"id": True, "extra": 1})
            node.apply_effects(await write(run, *items))
    rows = '1,"a,""b""\n","[""x""]"\ntrue,,\n'
    assert (folder / "a.csv").read_text() == "id,note,tags\n" + rows * 2


async def test_csv_of_other_columns_is_not_appended_to(folder: Path) -> None:
    (folder / "a.csv").write_text("id,name\n1,x\n")
    form = {"path": "a.csv", "format": "csv", "columns": ["id", "note"]}
    async with driven(FileWriter, form) as run:
        node: Any = run.node
        with pytest.raises(NodeFailed, match="other columns"):
            node.open_effects(None, 0, 1)
    assert (folder / "a.csv").read_text() == "id,name\n1,x\n"


async def test_json_lines_of_chosen_fields(folder: Path) -> None:
    async with driven(FileWriter, {"path": "a", "columns": "b,c"}) as run:
        assert await write(run, {"a": 1, "b": 2}) == ['{"b":2}\n']


async def test_what_cannot_be_written_fails_in_execute_not_in_the_commit(folder: Path) -> None:
    async with driven(FileWriter, {"path": "a.csv", "format": "csv", "columns": "t"}) as run:
        node: Any = run.node
        node.open_effects(None, 0, 1)
        node.apply_effects(["\ud800\n"])
    assert (folder / "a.csv").read_text() == "t\n?\n"


def test_the_written_path_is_known_before_the_start() -> None:
    config = NodeConfig(id="1", type="file-writer", form={"path": "./out//a.jsonl"})
    assert FileWriter(config).writes_path() == "out/a.jsonl"
    assert FileWriter(NodeConfig(id="1", type="file-writer")).writes_path() is None


async def test_csv_needs_columns() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(FileWriter, {"path": "a", "format": "csv"}):
            pass
    assert [problem.path for problem in caught.value.problems] == ["data.form.columns"]


async def test_a_reader_at_its_end_stays_there(folder: Path) -> None:
    (folder / "a").write_text("1\n")
    async with driven(FileReader, {"path": "a"}) as run:
        await run.item()
        assert isinstance(await run.item(), ExecutionCompleted)
        assert isinstance(await run.item(), ExecutionCompleted)


async def test_a_former_owner_that_wakes_up_writes_nothing_into_the_file(folder: Path) -> None:
    form = {"path": "a.jsonl"}
    async with driven(FileWriter, form) as old, driven(FileWriter, form) as new:
        old.node.open_effects(None, 0, 1)
        committed = old.node.apply_effects(["1\n", "2\n"])
        new.node.open_effects(committed, 0, 1)
        new.node.apply_effects(["3\n", "4\n"])
        with pytest.raises(NodeFailed):  # it had looked at its lease before it was held up
            old.node.apply_effects(["zombie\n"])
        new.node.apply_effects(["5\n"])
        assert (folder / "a.jsonl").read_text() == "1\n2\n3\n4\n5\n"


@pytest.mark.parametrize("away", [Path.unlink, lambda path: path.rename(f"{path}.1")])
async def test_a_file_that_was_moved_or_removed_is_begun_again(folder: Path, away: Any) -> None:
    path = folder / "a.csv"
    form = {"path": "a.csv", "format": "csv", "columns": ["n"]}
    async with driven(FileWriter, form) as run:
        run.node.open_effects(None, 0, 1)
        run.node.apply_effects(["1\n"])
        away(path)
        run.node.apply_effects(["2\n"])
        run.node.apply_effects(["3\n"])
        assert path.read_text() == "n\n2\n3\n"
