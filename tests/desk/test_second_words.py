"""A second person's decision counts by the roles that permitted it when it was given."""

from __future__ import annotations

from sync.department.journal.entries import EntryOf
from sync.department.journal.entry_base import Stamp
from sync.department.journal.second_hands import SecondHands
from sync.department.journal.sharing_entries import ShareDecided
from sync.department.policy.roles import Call, Role
from sync.rollover import _may_pass


def test_a_word_counts_by_no_role_that_could_not_give_it() -> None:
    """A later policy that permits another role of that person does not validate an earlier decision."""
    call = Call.SHARE_APPROVE
    second = SecondHands(permits={call.value: (Role.ADMINISTRATOR,)})
    stamp = Stamp(at_us=1, user="chief", role="", organisation="", session=bytes(32), demo=False)
    note = ShareDecided(request=3, approved=True, note="in order")
    second.decide(EntryOf(4, stamp, note, b""), None, (Role.ADMINISTRATOR, Role.DESIGNEE))
    assert second.counts(call, 3, "chief")
    second.permits = {call.value: (Role.ADMINISTRATOR, Role.DESIGNEE)}
    second.keep_roles("chief", {Role.DESIGNEE})
    assert not second.counts(call, 3, "chief")


def test_errors_that_cause_each_other_end_the_search_for_a_cause() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not _may_pass(first, lambda: False)
