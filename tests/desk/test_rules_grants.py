"""The rules of grants, each alone and at its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from log_entries import code_of, entry

from storage.grant_format import DEPARTMENT
from sync.department.desk.grants import rules as grants
from sync.department.desk.grants.rules import Grants
from sync.department.journal.change_entries import ChangeUsed
from sync.department.journal.office_entries import GrantDelegated, GrantIssued, GrantsRevoked


def granted(*revoked: str, **changed: Any) -> Grants:
    made = Grants()
    note: dict[str, Any] = {
        "grant_id": "g1", "person": "v.kim", "organisation": "Acme", "role": "vendor", "holder": "SHA256:k",
        "purpose": "", "work_order": "", "units": ("car-7", DEPARTMENT), "commands": (), "from_us": 10,
        "to_us": 20, "digest": b"", "signer": "",
    }  # fmt: skip
    made.apply(entry(1, "chief", ChangeUsed(proposal=0, about=changed.pop("about", "v.kim"), second="ben")))
    made.apply(entry(2, changed.pop("by", "chief"), GrantIssued(**note | changed)))
    made.apply(entry(3, "chief", GrantDelegated(designee="dan", public_key=b"", from_us=1, to_us=2)))
    made.apply(entry(4, "chief", GrantsRevoked(names=revoked, reason="")))
    return made


@pytest.mark.parametrize(
    ("revoked", "changed", "now_us", "code"),
    [
        ((), {}, 10, ""),
        ((), {}, 19, ""),
        ((), {}, 9, "no-grant"),
        ((), {}, 20, "no-grant"),
        ((), {"person": "w.lee"}, 15, "no-grant"),
        ((), {"units": ("car-7",)}, 15, "no-grant"),
        (("g1",), {}, 15, "no-grant"),
        (("v.kim",), {}, 15, "no-grant"),
        (("SHA256:k",), {}, 15, "no-grant"),
        (("g2",), {}, 15, ""),
    ],
)
def test_a_vendor_is_at_the_server_while_a_grant_for_it_is_in_force(
    revoked: tuple[str, ...], changed: dict[str, Any], now_us: int, code: str
) -> None:
    made = granted(*revoked, **changed)
    assert code_of(grants.demand_grant, made, "v.kim", now_us) == code
    in_force = code == "" or bool(changed)
    for names in (("g1",), ("SHA256:k", "x"), (changed.get("person", "v.kim"),)):
        assert made.ended_by(names, now_us) == in_force
        assert made.knows(names[0])
    assert made.ended_by(("x",), now_us) == 0
    assert not made.knows("x")


def test_a_grant_shows_the_second_person_of_its_own_change() -> None:
    assert granted().seconds == {"g1": "ben"}
    assert granted(about="w.lee").seconds == {}
    assert granted(by="deputy").seconds == {}
    once = granted()
    again = once.issued["g1"].note
    assert isinstance(again, GrantIssued)
    once.apply(entry(5, "chief", replace(again, grant_id="g2")))
    assert once.seconds == {"g1": "ben"}
    assert set(once.delegated) == {"dan"}
