"""The disk of the Redis-protocol server, the database and the files is full for a while."""

import errno
import os
import subprocess
import tempfile
from collections import Counter

import pytest

from tests.deployment import Deployment, template_database
from tests.faults.workflows import linked, sink
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.long]
LEASE_TTL = 3
AT_ONCE = 100


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, folder):
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder],
            check=True,
            capture_output=True,
        )

    def fill(self):
        with self._ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                self._fill(file, b"x" * size)

    def _fill(self, file, block):
        try:
            while True:
                file.write(block)
        except OSError as error:
            assert error.errno == errno.ENOSPC

    def free(self):
        self._ballast.unlink()

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def disk(tmp_path):
    try:
        made = Disk(tmp_path / "disk")
    except subprocess.CalledProcessError as error:
        told = f"no file system can be mounted here: {error.stderr.decode()}"
        (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(told)
    yield made
    made.close()


@pytest.fixture
def deployment(disk, monkeypatch, redis_server):
    template_database()  # made once for all tests, and not on this disk
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    folder = disk.folder / "deployment"
    folder.mkdir()
    deployed = Deployment(folder, lease_ttl=LEASE_TTL)
    yield deployed
    deployed.close()


def test_what_was_taken_before_and_after_is_worked_on_once(disk, deployment, nemesis, section):
    deployment.start_runner()
    hook = {"id": "hook", "type": "webhook", "data": {"form": {"path": "disk", "check": "none"}}}
    workflow = deployment.create(linked("Disk", hook, sink("out.jsonl")))
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "running")
    taken, answers = set(), Counter()

    def send(number):
        answer = deployment.client.post("/webhooks/disk", json={"n": number, "pad": "x" * 2000})
        answers[answer.status_code] += 1
        if answer.status_code == 202:
            taken.add(number)
        return answer.status_code

    def rows():
        return Counter(row["body"]["n"] for row in deployment.rows("out.jsonl"))

    assert {send(number) for number in range(AT_ONCE)} == {202}
    disk.fill()
    assert {send(number) for number in range(AT_ONCE, 2 * AT_ONCE)} <= {202, 503}
    assert answers[503] > 0, "the full disk was not felt"
    nemesis.wait(2 * LEASE_TTL, 2 * LEASE_TTL)  # what cannot be renewed has ended
    disk.free()
    eventually(lambda: send(-1) == 202)
    assert {send(number) for number in range(2 * AT_ONCE, 3 * AT_ONCE)} == {202}
    eventually(lambda: taken <= rows().keys(), 60)
    worked = rows()
    section(
        "the disk was full",
        f"answers {dict(answers)}, taken {len(taken)}, lost 0, "
        f"twice {sum(count > 1 for count in worked.values())}",
    )
    assert set(worked.values()) == {1}
    assert deployment.dead_letters(workflow) == []
