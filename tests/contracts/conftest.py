import pytest

from storage.datastore import open_store


@pytest.fixture(params=["memory", "redis"])
async def store(request):
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")
    store = open_store(url)
    for workflow in ("w", "other"):
        await store.queue.forget(workflow)
    await store.cache.delete("k")
    for run in ("r", "other"):
        for key in await store.channel(run).keys():
            await store.channel(run).delete(key)
    yield store
    await store.close()
