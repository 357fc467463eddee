"""The first person's decision on an incident, and how long it counts in each form of the log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync.department.desk.grants.rules import Settled, to_settle
from sync.department.journal.entries import EntryOf
from sync.department.journal.entry_base import Stamp
from sync.department.journal.office_entries import IncidentSettled
from sync.department.journal.second_hands import SecondHands
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import Call, Role
from sync.department.store.incidents import StoredIncident

FIRST = IncidentSettled(
    incident=3, kind="fork", unit="unit-7", opened_us=1, finding="a cloned card", second=False
)
SECOND = replace(FIRST, second=True)
STAMP = Stamp(at_us=1, user="super", role="", organisation="", session=bytes(32), demo=False)


def after_the_first_word(*, bound_whole: bool) -> SecondHands:
    """The state after the supervisor's decision, in a log of this form."""
    permits: dict[str, tuple[Role, ...]] = {
        Call.INCIDENT_CLOSE.value: (Role.ADMINISTRATOR, Role.CCAT_SUPERVISOR)
    }
    second = SecondHands(permits=permits, seen_by_two=True, bound_whole=bound_whole)
    second.settle(EntryOf(4, STAMP, FIRST, b""), FIRST, (Role.CCAT_SUPERVISOR,))
    return second


@pytest.mark.parametrize("other", [{"kind": "rollback"}, {"unit": "unit-8"}, {"opened_us": 2}])
def test_a_first_word_closes_no_other_incident_of_its_number(other: dict[str, object]) -> None:
    """Root sets the store back and lets an honest person close an incident that the first never saw."""
    another = replace(SECOND, **other)  # type: ignore[arg-type]
    second = after_the_first_word(bound_whole=True)
    second.demand_settled("chief", SECOND)
    with pytest.raises(UnsignedError, match="another incident of that number"):
        second.demand_settled("chief", another)
    after_the_first_word(bound_whole=False).demand_settled("chief", another)


def test_an_unsigned_first_word_does_not_count_beside_a_signed_one_on_another_incident_of_its_number() -> (
    None
):
    """Otherwise the desk takes each later person for the second, and the journal refuses them forever."""
    unsigned = replace(FIRST, opened_us=2)
    incident = StoredIncident(
        number=3, at_us=2, unit_id=FIRST.unit, unit_name="car-7", kind=FIRST.kind, detail="", times=1,
        closed_us=None, closed_by=None, second_by=None,
    )  # fmt: skip
    for bound_whole in (True, False):
        said = Settled()
        said.apply(EntryOf(5, STAMP, unsigned, b""))
        second = after_the_first_word(bound_whole=bound_whole)
        assert to_settle(said, incident, second, "chief", "it was a cloned card") is not bound_whole


def test_a_first_word_ends_with_its_role_and_never_did_in_an_older_log() -> None:
    for bound_whole in (True, False):
        second = after_the_first_word(bound_whole=bound_whole)
        assert second.keeps_first_word(FIRST, "super")
        second.keep_roles("super", {Role.VENDOR})
        assert second.keeps_first_word(FIRST, "super") is not bound_whole
        if bound_whole:
            with pytest.raises(UnsignedError, match="the role by which super gave that word is gone"):
                second.demand_settled("chief", SECOND)
        else:
            second.demand_settled("chief", SECOND)


def test_no_person_is_first_and_second() -> None:
    for bound_whole in (True, False):
        with pytest.raises(UnsignedError, match="no other person settled"):
            after_the_first_word(bound_whole=bound_whole).demand_settled("super", SECOND)
