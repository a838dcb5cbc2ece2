"""Nemesis: does one fault at a time, at moments and to victims that its seed decides."""

import logging
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deployment import Deployment, RunnerProcess, send
from tests.faults.checker import Checker
from tests.waiting import eventually

logger = logging.getLogger(__name__)

# In the environment, so that the workers of one run have the same.
SEED = os.environ.setdefault("FAULT_SEED", str(time.time_ns() % 1_000_000))


class Nemesis:
    """`faults` are the moments from which the system could recover."""

    def __init__(self, deployment: Deployment, row: str) -> None:
        self.random = random.Random(f"{SEED}:{row}")
        self.faults: list[float] = []
        self._deployment = deployment
        self._armed = deployment.folder / "failpoint"
        logger.info("FAULT_SEED=%s", SEED)

    def wait(self, low: float, high: float) -> None:
        """Let the system run for a while: the rhythm of faults, not a wait for anything."""
        time.sleep(self.random.uniform(low, high))

    def kill(self, runner: RunnerProcess) -> None:
        """End a runner's hosts, its supervisor, or both; start another one for it."""
        victim = self.random.choice(["hosts", "supervisor", "both"])
        hosts = runner.hosts()
        logger.info("kill %s of %d: %s", victim, runner.pid, hosts)
        self.note()
        if victim == "both":
            runner.kill_all()
        elif victim == "supervisor":
            runner.kill()
        for pid in hosts if victim == "hosts" else ():
            send(pid, signal.SIGKILL)
        if victim != "hosts":
            self._deployment.runners.remove(runner)
            self._deployment.start_runner()

    def kill_any(self) -> None:
        self.kill(self.random.choice(self._deployment.runners))

    def kill_fleet(self) -> None:
        """End every process of ours at once, and start as many again."""
        runners = list(self._deployment.runners)
        trees = [pid for runner in runners for pid in runner.tree()]
        for pid in (*trees, self._deployment.web.pid):
            send(pid, signal.SIGKILL)
        for process in (self._deployment.web, *(runner.process for runner in runners)):
            process.wait()
        self._deployment.runners.clear()
        self.note()
        for _ in runners:
            self._deployment.start_runner()
        self._deployment.start_web()

    @contextmanager
    def redis_paused(self) -> Iterator[None]:
        self._deployment.redis.pause()
        yield
        self._deployment.redis.resume()
        self.note()

    @contextmanager
    def redis_killed(self) -> Iterator[None]:
        self._deployment.redis.kill()
        yield
        self._deployment.redis.start()
        self.note()

    @contextmanager
    def database_held(self) -> Iterator[None]:
        """Let nobody write the database."""
        with self._deployment.database.held():
            yield
        self.note()

    @contextmanager
    def frozen(self, runner: RunnerProcess) -> Iterator[None]:
        """Hold a runner up, with everything below it."""
        tree = runner.tree()
        for pid in tree:
            send(pid, signal.SIGSTOP)
        self.note()
        yield
        for pid in reversed(tree):
            send(pid, signal.SIGCONT)

    def dies_at(self, place: str, checker: Checker) -> bool:
        """Let the process that comes by a failpoint first die there, and a few items pass.

        Returns False when the workflow has completed before one did.
        """
        self._armed.write_text(place)
        eventually(lambda: not self._armed.exists() or checker.completed())
        died = not self._armed.exists()
        self._armed.unlink(missing_ok=True)
        if died:
            self.note()
            enough = checker.executed() + self.random.randint(2, 15)
            eventually(lambda: checker.executed() > enough or checker.completed())
        return died

    def note(self) -> None:
        """Count the present moment as one from which the system can recover."""
        self.faults.append(time.monotonic())
