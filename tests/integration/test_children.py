"""A process that is kept alive by its parent."""

from orchestrator.runtime.children import Child
from tests.waiting import until


async def test_what_cannot_be_started_is_tried_again(tmp_path, caplog):
    program = tmp_path / "program"
    child = Child("late", [str(program)], environment={}, descriptors=[], folder=tmp_path, grace=5)
    child.start()
    await until(lambda: "late could not be started: No such file" in caplog.text)
    assert (child.pid, child.starts) == (0, 0)
    (tmp_path / "made").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "made").chmod(0o755)
    (tmp_path / "made").rename(program)
    await until(lambda: child.pid)
    await child.drain()
    assert (child.pid, child.starts) == (0, 1)
