"""Names that people confuse: no second unit gets one, and a person who types one learns of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND, Department
from desk_units import UnitTwin

from storage.errors import StorageError
from sync.department.desk.holds.rules import Holds, placed
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.machine.unit_calls import RevokeUnitForm, UnitForm
from sync.department.ground.unit_names import alike
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import FormError

Tokens = Callable[[str], str]


@pytest.fixture(autouse=True)
def unit(department: Department) -> Iterator[UnitTwin]:
    made = UnitTwin(department.home, Ed25519PrivateKey.generate(), "Car 12")
    yield made
    made.close()


@pytest.mark.parametrize("name", ["Car-12", "car 12", "CAR12", "Car  12."])
def test_a_name_that_reads_like_another_units_is_refused_and_names_it(
    department: Department, tokens: Tokens, name: str
) -> None:
    with pytest.raises(FormError) as refused:
        department.call("unit/enroll", tokens("chief"), UnitForm(name=name))
    assert "Car 12" in refused.value.what
    assert "more than case, spaces and symbols" in refused.value.cure


def test_a_search_and_a_revocation_of_a_unit_that_is_not_there_ask_which_was_meant(
    department: Department, tokens: Tokens
) -> None:
    query = Query(
        plate="7ABC123", since_us=department.clock.us - 1, until_us=department.clock.us, unit="Car-12"
    )
    for user, call, form in (
        ("comm1", "inquiry/run", RunForm(query=query, ground=GROUND)),
        ("chief", "unit/revoke", RevokeUnitForm(unit="car12", reason="it was sold at auction")),
    ):
        with pytest.raises(StorageError, match="did you mean Car 12"):
            department.call(call, tokens(user), form)


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        ("Car-12", ["Car 1", "Car 12"], "Car 12"),
        ("Car 12", ["Car 12"], ""),
        ("Car 112", ["Car 12"], ""),
        ("--", ["!!"], ""),
        ("straße 1", ["STRASSE-1"], "STRASSE-1"),
    ],
)
def test_names_are_alike_that_differ_by_case_spaces_and_signs_alone(
    name: str, names: list[str], found: str
) -> None:
    assert alike(name, names) == found


def test_a_hold_that_is_not_there_says_how_a_hold_is_named() -> None:
    with pytest.raises(FormError) as refused:
        placed(Holds(), 7)
    assert "the number of its entry" in refused.value.cure
