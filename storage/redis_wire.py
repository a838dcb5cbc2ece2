"""Arguments and replies of the scripts and commands behind the queues."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.records import (
    DEAD_LETTERS,
    DEAD_LETTERS_LIMIT,
    DELAYED,
    DELAYED_LIMIT,
    Commit,
    CommitResult,
    Entry,
    Lease,
    Outcome,
    QueueStats,
    Room,
    SlotState,
    inbox,
)

STATE = b"node:"
"""Prefix of a node's state among the fields of a slot."""
ANY = Room()


def slot_state(fields: Mapping[bytes, bytes], crashes: int = 0) -> SlotState:
    return SlotState(
        activation=int(fields[b"activation"]),
        number=int(fields[b"number"]),
        sequence=int(fields[b"sequence"]),
        states={
            name.removeprefix(STATE).decode(): value
            for name, value in fields.items()
            if name.startswith(STATE)
        },
        crashes=crashes,
    )


def commit_args(lease: Lease, commit: Commit, queues: Sequence[str]) -> list[Any]:
    """Return what the commit script takes, in its order; what a completion reads comes last among
    the queues."""
    outputs: dict[str, list[bytes]] = {queue: [] for queue in queues}
    acks: dict[str, list[Entry]] = {queue: [] for queue in queues}
    for queue, body in commit.outputs:
        outputs[queue].append(body)
    for entry in commit.acks:
        acks[entry.queue].append(entry)
    args: list[Any] = [lease.name, lease.token, lease.slot, commit.number, commit.sequence]
    args += [
        commit.activation if commit.completion is not None else "",
        DEAD_LETTERS_LIMIT,
        DELAYED_LIMIT,
    ]
    args += [inbox(lease.loop), "" if commit.after is None else commit.after]
    for queue in queues:
        room, added, acked = commit.room.get(queue, ANY), outputs[queue], acks[queue]
        args += (queue, room.items, room.bytes, int(room.drop_oldest))
        args += (sum(len(entry.body) for entry in acked), sum(map(len, added)))
        args += (len(added), len(acked))
    for queue in queues:
        args += outputs[queue]
        args += [entry.id for entry in acks[queue]]
    args.append(len(commit.delayed))
    for seconds, body in commit.delayed:
        args += (seconds, body)
    args.append(len(commit.states))
    for node, value in commit.states.items():
        args += (STATE + node.encode(), value)
    args += [len(commit.dead), *commit.dead]
    if commit.completion is not None:
        args += [len(commit.completion.queues), *commit.completion.writers]
    return args


def commit_result(reply: list[str], queues: Sequence[str]) -> CommitResult:
    outcome, names = Outcome(reply[0]), reply[1:]
    if outcome is Outcome.FULL:
        other = {"dead": DEAD_LETTERS, "delayed": DELAYED}
        names = [other[name] if name in other else queues[int(name)] for name in names]
    return CommitResult(outcome, tuple(names))


def queue_stats(row: Sequence[Any]) -> QueueStats:
    """Return what the script tells of a queue."""
    length, added, first, held, dropped, *in_hand = row
    return QueueStats(
        length=length,
        bytes=int(held),
        oldest_at=int(first.split(b"-")[0]) / 1000 if first else None,
        added=added,
        dropped=int(dropped),
        in_hand={
            int(slot): int(count) for slot, count in zip(in_hand[::2], in_hand[1::2], strict=True)
        },
    )
