"""The way of a credential to the process that runs a node: sealed, with the order to run it."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from nodes.base import BaseNode
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import NotAllowed, NotFound
from orchestrator.models import Credential, Graph, WorkflowVersion
from orchestrator.security.actors import Actor, actor_of, authorize
from orchestrator.security.credentials import Credentials, Sealed
from orchestrator.security.keyring import Keyring

Order = dict[str, dict[str, Any]]
"""Sealed credentials as JSON, by name: id, kind, sealed, revision."""


def keyring() -> Keyring:
    """Return the keys of this deployment.

    Raises:
        CredentialsClosed: there are none, or one is none.
    """
    return _keyring(tuple(orchestrator_settings().CREDENTIAL_KEYS))


@lru_cache(maxsize=4)
def _keyring(keys: tuple[str, ...]) -> Keyring:
    return Keyring(keys)


def used_by(nodes: Iterable[Any]) -> dict[str, list[tuple[str, str]]]:
    """Return by name the (node id, field) pairs that use a credential."""
    found: dict[str, list[tuple[str, str]]] = {}
    for node in nodes:
        if isinstance(node, BaseNode):
            for field, name in node.credential_names().items():
                found.setdefault(name, []).append((node.id, field))
    return found


def authorize_use(actor: Actor, credential: Credential) -> None:
    """Let an actor use a credential, or raise.

    Raises:
        NotAllowed: the role does not suffice, or it is not for this actor.
    """
    try:
        authorize(actor, "credential.use", credential.name)
    except NotAllowed:
        raise _refused(actor, credential) from None
    if not credential.restricted or actor.may("credential.manage"):
        return
    if actor.id is not None and (
        actor.id == credential.created_by_id
        or credential.users.filter(pk=actor.id).exists()
        or credential.groups.filter(user=actor.id).exists()
    ):
        return
    raise _refused(actor, credential)


def _refused(actor: Actor, credential: Credential) -> NotAllowed:
    return NotAllowed(f"{actor.name} may not use the credential {credential.name}")


def sealed(actor: Actor, names: Collection[str]) -> Order:
    """Return what an order needs so that its nodes can open these credentials.

    Raises:
        NotFound: there is none of a name.
        NotAllowed: one is not for this actor.
    """
    rows = {row.name: row for row in Credential.objects.filter(name__in=names)} if names else {}
    for name in names:
        if name not in rows:
            raise NotFound(f"there is no credential {name}")
        authorize_use(actor, rows[name])
    return {
        row.name: {
            "id": str(row.pk),
            "kind": row.kind,
            "sealed": row.sealed,
            "revision": row.revision,
        }
        for row in rows.values()
    }


def for_loop(workflow: str, version: int, nodes: Iterable[Any]) -> Order:
    """Return what the order to run a loop of a version needs; whoever saved the version must be
    allowed to use it at this moment.

    Raises:
        NotFound, NotAllowed: as `sealed`.
    """
    names = used_by(nodes)
    if not names:
        return {}
    row = WorkflowVersion.objects.select_related("created_by").get(
        workflow_id=workflow, number=version
    )
    return sealed(run_as(row.created_by), names)


def for_graph(graph_id: str, names: Collection[str]) -> Order:
    """Return what the nodes of a graph need; whoever made it must be allowed to use it.

    Raises:
        NotFound, NotAllowed: as `sealed`.
    """
    graph = Graph.objects.select_related("created_by").filter(pk=graph_id).first()
    return sealed(run_as(graph.created_by if graph else None), names)


def run_as(user: Any) -> Actor:
    """Return as whom a definition runs that this user has saved; None is one who is gone."""
    return actor_of(user) if user is not None else Actor(id=None, name="whoever saved this")


def revisions(names: Collection[str]) -> dict[str, int]:
    """Return the present revisions of credentials; one that is gone is absent."""
    return dict(Credential.objects.filter(name__in=names).values_list("name", "revision"))


def revisions_of(order: Order) -> dict[str, int]:
    """Return the revisions of what an order has."""
    return {name: entry["revision"] for name, entry in order.items()}


def opened(order: Mapping[str, Mapping[str, Any]]) -> Credentials:
    """Return the credentials of an order, for the process that runs its nodes; each is decrypted
    when a node asks for it."""
    found = {
        name: Sealed(id=entry["id"], kind=entry["kind"], sealed=entry["sealed"])
        for name, entry in order.items()
    }
    return Credentials(found, lambda owner, text: keyring().open(owner, text))
