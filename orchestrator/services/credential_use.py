"""Who may use a credential where a definition names it, and the names that there are."""

from typing import Any

from django.db import OperationalError, ProgrammingError

from forms.fields import CredentialField
from orchestrator.exceptions import NotAllowed, Problem
from orchestrator.flow.graph import FlowGraph
from orchestrator.models import Credential
from orchestrator.runtime.credentials import authorize_use, run_as
from orchestrator.security.actors import Actor


def require_use(actor: Actor, graph: FlowGraph) -> None:
    """Let a definition that is to be saved pass, or raise.

    Raises:
        NotAllowed: it uses a credential that is not for this actor; each place is named.
    """
    problems = rights(actor, graph)
    if problems:
        raise NotAllowed(problems[0].message, problems=tuple(problems))


def require_run_as(user: Any, graph: FlowGraph) -> None:
    """Let a definition that is to be started pass, or raise.

    Args:
        user: who has saved it; None for one who is gone.

    Raises:
        NotAllowed: it uses a credential that is not for whoever saved it.
    """
    require_use(run_as(user), graph)


def rights(actor: Actor, graph: FlowGraph) -> list[Problem]:
    """Return the places where a definition uses a credential that is not for this actor."""
    places = [
        (f"nodes[{node.index}].data.form.{field}", name)
        for node in graph.nodes.values()
        for field, name in _names(node.node).items()
    ]
    rows = {r.name: r for r in Credential.objects.filter(name__in={name for _, name in places})}
    refusals: dict[str, str] = {}
    for name, row in rows.items():
        try:
            authorize_use(actor, row)
        except NotAllowed as error:
            refusals[name] = error.message
    return [Problem(path, refusals[name]) for path, name in places if name in refusals]


def _names(node: Any) -> dict[str, str]:
    found: dict[str, str] = node.credential_names() if hasattr(node, "credential_names") else {}
    return found


def used_in(graph: FlowGraph) -> list[str]:
    """Return the names of the credentials that a definition uses."""
    return sorted({n for node in graph.nodes.values() for n in _names(node.node).values()})


def known() -> dict[str, str]:
    """Return the kind of each credential by its name: the choices of forms."""
    try:
        return dict(Credential.objects.values_list("name", "kind"))
    except (OperationalError, ProgrammingError) as error:
        if Credential._meta.db_table not in str(error):
            raise
        return {}  # a command that needs no database has found one without tables


CredentialField.known = staticmethod(known)
