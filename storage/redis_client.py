"""The connection to a Redis-protocol server: the client, its errors as ours, and the keys.

The client never retries a write by itself: a repeated `XADD` would be a second entry.
"""

from collections.abc import Callable, Coroutine
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.exceptions import StoreRefused, StoreUnavailable
from storage.server_facts import ServerFacts, facts_of

# redis-py cuts the code off the text of those errors that it has a class for.
_NOT_READY = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError)
_NOT_READY_CODES = ("BUSY ", "MISCONF", "NOREPLICAS")
"""It is there and refuses writes: a script runs, its disk is full, its replicas are gone."""
_OF_PIPELINE = " of pipeline caused error: "
_P = ParamSpec("_P")
_T = TypeVar("_T")
ALLOW_UNSAFE = "ALLOW_UNSAFE_STORE"
"""The setting by which an operator accepts a server that may lose what it holds."""
Client = Any
"""redis-py's client; its own types cover neither its byte replies nor its scripts."""


_driver = cache(DriverInfo)
"""What each connection tells of the client; to find that out takes a look at the disk."""


def connect(url: str) -> Client:
    """Return a client; a blocking read takes a connection of its own from the pool."""
    client = aioredis.Redis.from_url(
        url,
        max_connections=10_000,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=5,
        socket_connect_timeout=2,
        health_check_interval=15,
        driver_info=_driver(),
    )
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_Lean, pool.connection_class), {})
    return client


class _Lean:
    """What a connection does for each command, with less to do: a command is sent without a task
    and a timer of its own. Whoever sends one waits for its answer, and that has its timeout."""

    async def send_packed_command(self: Any, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()
        self._writer.writelines([command] if isinstance(command, bytes) else command)


def translated(
    method: Callable[_P, Coroutine[Any, Any, _T]],
) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Raise StoreUnavailable for what says that the server is away."""

    @wraps(method)
    async def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await method(*args, **kwargs)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise StoreUnavailable(f"Redis is away: {error}") from error
        except ResponseError as error:
            if isinstance(error, _NOT_READY) or _said(error).startswith(_NOT_READY_CODES):
                raise StoreUnavailable(f"Redis is not ready: {error}") from error
            raise

    return call


def _said(error: ResponseError) -> str:
    """Return what the server said; of a pipeline redis-py tells first which command it was."""
    return str(error).rpartition(_OF_PIPELINE)[2].lstrip("('")


async def check_server(client: Client, *, allow_unsafe: bool = False) -> list[str]:
    """Refuse a server that cannot give the guarantees.

    `INFO` tells all that is needed: an ACL may well deny `CONFIG`.

    Args:
        allow_unsafe: let a server pass that works and may lose what it holds.

    Returns:
        What was let pass.

    Raises:
        StoreRefused: naming everything that was found, and what to set.
        StoreUnavailable: the server is away.
    """
    info = await _info(client)
    unusable, unsafe = _unusable(info), _unsafe(info)
    if unusable or (unsafe and not allow_unsafe):
        hint = "" if unusable else f" (for development only: {ALLOW_UNSAFE}=1 lets it pass)"
        raise StoreRefused(f"Redis cannot be used: {'; '.join(unusable + unsafe)}{hint}")
    return unsafe


@translated
async def describe_server(client: Client) -> ServerFacts:
    """Return what a server tells of itself."""
    return await facts_of(client, lambda: _info(client))


async def _info(client: Client) -> dict[str, Any]:
    try:
        return dict(await client.info())
    except NoPermissionError as error:
        raise StoreRefused(f"Redis cannot be checked: {error}; grant `+info`") from error
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis is away: {error}") from error


def _unusable(info: dict[str, Any]) -> list[str]:
    """What keeps the scripts from running."""
    found = []
    name, floor = ("valkey", (7, 2)) if "valkey_version" in info else ("redis", (7, 0))
    version = str(info[f"{name}_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < floor:
        found.append(f"{name} {version} is too old: {floor[0]}.{floor[1]} is the floor")
    if info.get("role") != "master":
        found.append(f"its role is {info.get('role')}: give REDIS_URL the address of the primary")
    return found


def _unsafe(info: dict[str, Any]) -> list[str]:
    """What loses data on a day on which the server runs full, or is started again."""
    found = []
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        found.append(f"it may evict what is queued: maxmemory-policy is {policy}, set noeviction")
    if info.get("aof_enabled") != 1:
        found.append("it forgets when it is started again: appendonly is no, set yes")
    return found


class Keys:
    """The keys of one workflow."""

    def __init__(self, workflow: str) -> None:
        self.prefix = f"wo:{{wf:{workflow}}}:"
        self.fence = f"{self.prefix}fence"
        self.completed = f"{self.prefix}completed"
        self.dead = f"{self.prefix}dead"
        self.latest = f"{self.prefix}latest"
        self.bytes = f"{self.prefix}bytes"
        self.dropped = f"{self.prefix}dropped"

    def slot(self, name: str) -> str:
        return f"{self.prefix}slot:{name}"

    def queue(self, name: str) -> str:
        return f"{self.prefix}q:{name}"

    def delayed(self, loop: str) -> str:
        return f"{self.prefix}delayed:{loop}"

    def operation(self, op_id: str) -> str:
        return f"{self.prefix}op:{op_id}"
