"""Policies: by which rule a group succeeds, and when that is already lost."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from orchestrator.exceptions import GroupFailed, Problem
from orchestrator.execution.outcomes import Outcome, told

Policy = Callable[[Sequence[Outcome]], None]
"""A policy of your own: gets the outcomes in the order of the members, and raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What has to succeed.

    needed: the members whose failure is the group's. spare: how many may fail; None for any number.
    """

    needed: Collection[str] = ()
    spare: int | None = None
    custom: Policy | None = None

    def stop(self) -> Callable[[Outcome], bool]:
        """Return what an executor asks of each failed member: is the group lost with it?"""
        failed = 0

        def lost(outcome: Outcome) -> bool:
            nonlocal failed
            failed += 1
            return outcome.name in self.needed or (self.spare is not None and failed > self.spare)

        return lost

    def settle(self, group: str, outcomes: Sequence[Outcome]) -> None:
        """Accept the outcomes.

        Raises:
            GroupFailed: they do not meet the policy; it names each failed member and its error.
        """
        failed = [outcome for outcome in outcomes if not outcome.ok and not outcome.cancelled]
        lost = self.stop()
        if any(lost(outcome) for outcome in failed):
            raise failure(group, outcomes) from failed[0].error
        if self.custom is not None:
            try:
                self.custom(outcomes)
            except GroupFailed:
                raise
            except Exception as error:
                raise failure(group, outcomes, told(error) or type(error).__name__) from error


def make_rule(
    policy: str | Policy, members: Sequence[str], n: int | None, critical: Sequence[str]
) -> Rule:
    """Return the rule of a policy for these members; `nodes.group_rules` knows what is wrong."""
    if callable(policy):
        return Rule(custom=policy)
    if policy == "strict":
        return Rule(needed=frozenset(members))
    if policy == "critical":
        return Rule(needed=frozenset(critical))
    return Rule(spare=None if n is None else len(members) - n)


def failure(group: str, outcomes: Sequence[Outcome], reason: str = "") -> GroupFailed:
    """Return the error of a group, with a problem for each member that failed by itself."""
    problems = tuple(
        Problem(f"members.{outcome.name}", outcome.described)
        for outcome in outcomes
        if not outcome.ok and not outcome.cancelled
    )
    return GroupFailed(group, size=len(outcomes), problems=problems, reason=reason)
