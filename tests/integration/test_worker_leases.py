"""Leases of workers: one owner at a time, and a token that only rises."""

import pytest

from orchestrator.models import WorkerSlot
from orchestrator.runtime import worker_leases
from orchestrator.runtime.task_execution import Counts
from orchestrator.runtime.worker_leases import WorkerEntry, WorkerLease

pytestmark = pytest.mark.django_db


def acquire(name, ttl=60.0, labels=()):
    entry = WorkerEntry(name=name, host="host", pid=1, concurrency=4, labels=labels)
    return worker_leases.acquire(entry, ttl)


def test_each_worker_gets_a_slot_of_its_own():
    assert acquire("ada") == WorkerLease(slot=0, token=1)
    assert acquire("bob") == WorkerLease(slot=1, token=1)
    assert worker_leases.living() == 2


def test_a_name_is_taken_while_its_worker_lives():
    lease = acquire("ada")
    assert acquire("ada") is None
    worker_leases.release(lease)
    assert acquire("ada") == WorkerLease(slot=0, token=2)


def test_a_free_slot_is_used_again_with_a_greater_token():
    worker_leases.release(acquire("ada"))
    assert acquire("bob") == WorkerLease(slot=0, token=2)


def test_an_ended_lease_is_taken_over_and_cannot_be_renewed():
    gone = acquire("ada", ttl=-1)
    assert worker_leases.living() == 0
    assert acquire("bob") == WorkerLease(slot=0, token=2)
    assert not worker_leases.renew(gone, Counts(), 60)
    worker_leases.release(gone)  # changes nothing
    assert WorkerSlot.objects.get().worker == "bob"


def test_a_restarted_worker_takes_its_own_slot_again():
    first, second = acquire("ada"), acquire("bob")
    WorkerSlot.objects.update(expires_at=WorkerSlot.objects.get(slot=0).started_at)
    assert acquire("bob") == WorkerLease(slot=second.slot, token=2)
    assert acquire("ada") == WorkerLease(slot=first.slot, token=2)


def test_a_slot_is_for_workers_of_the_same_labels():
    """What a worker leaves in its slot is in queues that only those of its labels read."""
    acquire("ada", ttl=-1, labels=("eu", "gpu"))
    assert acquire("bob") == WorkerLease(slot=1, token=1)
    assert acquire("eve", labels=("eu", "gpu")) == WorkerLease(slot=0, token=2)
    assert acquire("dan", labels=("gpu",)) == WorkerLease(slot=2, token=1)
    assert [worker_leases.living(wanted) for wanted in ((), ("gpu",), ("gpu", "eu"))] == [3, 2, 1]
    assert worker_leases.living(("moon",)) == 0


def test_only_an_ended_lease_is_retired_and_once():
    living, gone = acquire("ada"), acquire("bob", ttl=-1)
    assert worker_leases.expired() == [gone]
    assert worker_leases.retire(living) is None
    assert worker_leases.retire(gone) == WorkerLease(slot=1, token=2)
    assert worker_leases.retire(gone) is None
    assert not worker_leases.renew(gone, Counts(), 60)


def test_a_renewal_writes_the_numbers():
    lease = acquire("ada", ttl=-1)
    counts = Counts(active=1, processed=2, failed=3, retried=4, seconds=5.5)
    assert worker_leases.renew(lease, counts, 60)
    row = WorkerSlot.objects.get()
    assert (row.active, row.processed, row.failed, row.retried, row.seconds) == (1, 2, 3, 4, 5.5)
    assert worker_leases.living() == 1
