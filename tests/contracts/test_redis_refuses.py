"""A Redis server that is there and refuses: nothing but StoreUnavailable or FULL comes of it."""

import asyncio

import pytest

from orchestrator.exceptions import StoreRefused, StoreUnavailable
from orchestrator.runtime.server_binary import find_server
from storage.datastore import open_store
from storage.records import Outcome
from storage.redis_client import check_server, connect
from tests.contracts.test_queue_store import commit, lease
from tests.redis_server import RedisServer
from tests.waiting import until


@pytest.fixture
async def client(redis_url):
    client = connect(redis_url)
    yield client
    await client.config_set("maxmemory", 0)
    await client.config_set("min-replicas-to-write", 0)
    await client.aclose()


@pytest.fixture
async def queue(redis_url, client):
    store = open_store(redis_url)
    await store.queue.forget("w")
    yield store.queue
    await store.close()


async def test_without_memory_outputs_wait_and_sinks_drain(queue, client):
    holder = lease()
    await queue.begin(holder, 1)
    await queue.put("w", "in", b"x")
    await client.config_set("maxmemory", 1)
    assert await queue.pending(holder, ["in"]) == []
    [entry] = await queue.read(holder, ["in"], 1, 0)
    full = await queue.commit(holder, commit(outputs=[("out", b"y")]))
    assert full.outcome is Outcome.FULL
    done = await queue.commit(holder, commit(acks=[entry]))
    assert done.outcome is Outcome.COMMITTED
    with pytest.raises(StoreUnavailable):
        await queue.put("w", "in", b"x")


async def test_a_server_that_lacks_its_replicas_is_waited_for(queue, client):
    holder = lease()
    await queue.begin(holder, 1)
    await client.config_set("min-replicas-to-write", 1)
    with pytest.raises(StoreUnavailable):
        await queue.commit(holder, commit(outputs=[("out", b"y")]))


async def test_what_refuses_one_of_many_commands_is_not_ready_either(redis_url, client):
    store = open_store(redis_url)
    await client.config_set("min-replicas-to-write", 1)
    with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
        await store.feed.publish("w", {"a/0": b"{}"}, [])
    await store.close()


async def test_a_read_that_waits_outlives_forgotten_scripts(queue, client):
    async def waits():
        return (await client.info("clients"))["blocked_clients"]

    holder = lease()
    await queue.begin(holder, 1)
    reading = asyncio.create_task(queue.read(holder, ["in"], 1, 3))
    await until(waits)
    await client.script_flush()
    await queue.put("w", "in", b"x")
    assert [entry.body for entry in await reading] == [b"x"]


async def test_a_slot_that_never_read_can_be_left(queue):
    holder = lease()
    await queue.begin(holder, 1)
    await queue.put("w", "in", b"x")
    await queue.end(holder, ["in"])
    assert (await queue.begin(lease(2), 1)).crashes == 0


@pytest.fixture
def server(redis_server):
    """Start servers with other settings; `redis_server` only says whether there is one at all."""
    started = []

    def start(*options):
        started.append(RedisServer(find_server().path, *options))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop()


async def checked(url, **how):
    store = open_store(url)
    try:
        return await store.check(**how)
    finally:
        await store.close()


EVICTS = ("--maxmemory-policy", "allkeys-lru")
FORGETS = ("--appendonly", "no")


async def test_a_fit_server_is_not_refused(redis_url):
    assert await checked(redis_url) == []
    assert await checked("memory://") == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(server, policy):
    unfit = server("--maxmemory-policy", policy)
    with pytest.raises(StoreRefused, match=f"maxmemory-policy is {policy}, set noeviction"):
        await checked(unfit.url)


async def test_a_server_that_forgets_is_refused(server):
    with pytest.raises(StoreRefused, match="appendonly is no, set yes"):
        await checked(server(*FORGETS).url)


async def test_a_refusal_names_everything_at_once_and_the_way_out(server):
    with pytest.raises(StoreRefused) as refused:
        await checked(server(*EVICTS, *FORGETS).url)
    for part in ("maxmemory-policy", "appendonly", "ALLOW_UNSAFE_STORE=1"):
        assert part in refused.value.message


async def test_an_unsafe_server_can_be_let_pass_with_a_warning(server):
    found = await checked(server(*EVICTS, *FORGETS).url, allow_unsafe=True)
    assert [name for line in found for name in ("maxmemory", "appendonly") if name in line] == [
        "maxmemory",
        "appendonly",
    ]


async def test_a_replica_is_refused_whatever_is_allowed(server, redis_server):
    replica = server("--replicaof", f"127.0.0.1 {redis_server.port}")
    with pytest.raises(StoreRefused, match="its role is") as refused:
        await checked(replica.url, allow_unsafe=True)
    assert "ALLOW_UNSAFE_STORE" not in refused.value.message


async def test_a_version_that_is_too_old_is_refused_whatever_is_allowed(redis_url):
    client = connect(redis_url)
    info = await client.info()

    class Old:
        async def info(self):
            return {**info, "valkey_version": "7.1.9"}

    with pytest.raises(StoreRefused, match=r"valkey 7\.1\.9 is too old: 7\.2 is the floor"):
        await check_server(Old(), allow_unsafe=True)
    await client.aclose()


async def test_the_check_needs_little_of_an_acl(server):
    fit = server()
    rules = ("on >secret ~* &* +@all", "-config -flushall -keys -debug")
    fit.ask("ACL SETUSER ours", *rules)
    url = fit.url.replace("://", "://ours:secret@")
    assert await checked(url) == []
    fit.ask("ACL SETUSER ours -info")
    with pytest.raises(StoreRefused, match=r"grant `\+info`"):
        await checked(url)


async def test_a_server_that_is_away_is_not_refused(server):
    gone = server()
    gone.stop()
    with pytest.raises(StoreUnavailable):
        await checked(gone.url)
