"""Root and an accomplice sign forms with odd values: each is a named finding, and later entries are judged.

The log is append-only: an entry that crashes a rule would stop the key service and `verify` for good.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from desk_forms import forms
from desk_root import Root, access_of, problems, written_in
from desk_twins import GROUND, Department
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.times import DAY_US
from sync.department.desk.sharing.calls import DecisionForm, DeliverForm, Recorded, ReviewForm
from sync.department.journal.entries import EntryOf
from sync.department.journal.inquiry_entries import Query
from sync.department.journal.sharing_entries import Scope, ShareDecided
from sync.department.journal.signed_forms import ACTIONS
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.statements import form_fields, sign_call
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal

ODD: tuple[Any, ...] = (
    None,
    True,
    "x",
    b"x",
    -2,
    1 << 62,
    [],
    ["x"],
    [None],
    {},
    {"plates": 1},
    {"since_us": "x"},
)


def shared(department: Department) -> tuple[int, Query, Scope]:
    """A request that two people approved: its entry, the query of its delivery, its scope."""
    query = department.plate("8XYZ123")
    scope = Scope(plates=("8XYZ123",), since_us=query.since_us, until_us=query.until_us, images=False)
    record = replace(forms(department)["share/record"], scope=scope)
    made = department.call("share/record", department.logon("deputy"), record)
    assert isinstance(made, Recorded)
    request = made.entry
    department.call("share/review", department.logon("chief"), ReviewForm(request=request, note="in order"))
    yes = DecisionForm(
        request=request,
        approved=True,
        note="in order",
        agency_kind="law-enforcement",
        agency_state="CA",
    )
    root = Root(department)
    stamp, signed = root.signed("chief", "share/decide", yes)
    root.write(ShareDecided(request=request, approved=True, note=yes.note), stamp, signed)
    return request, query, scope


def test_a_delivery_with_a_word_for_a_time_is_named_and_the_next_one_opens(department: Department) -> None:
    root, (request, query, scope) = Root(department), shared(department)
    written = written_in(department, request)
    left = replace(access_of(query), action="delivery", request=request, written=written)
    odd = replace(scope, since_us="x")  # type: ignore[arg-type]
    entries = []
    for wanted in (odd, None):
        form = DeliverForm(request=request, scope=wanted, ground=GROUND)
        stamp, signed = root.signed("super", "share/deliver", form)
        entries.append(root.write(left, stamp, signed))
    days = [department.clock.us // DAY_US]
    with pytest.raises(DeskRefusal) as refused:
        department.front.door.tokens(department.desk.covered(entries[0]), query, days)
    assert refused.value.code == "unsigned"
    department.front.door.tokens(department.desk.covered(entries[1]), query, days)
    assert [one.split(":")[0] for one in problems(department)] == [f"entry {entries[0]}"]


@pytest.mark.thorough
def test_odd_values_in_any_field_of_a_signed_form_are_a_finding(department: Department) -> None:
    """For each call that opens content, a rule can refuse or read whatever its person signed."""
    root, (request, query, _) = Root(department), shared(department)
    judged, log = SignedLog(), department.desk.log
    key, session = root.accomplice("super")
    for entry in log.entries(kinds=SIGNER_KINDS):
        judged.judge(entry)
    plain = {
        call: form_fields(form)
        for call, form in forms(department).items()
        if call in ACTIONS and form_fields(form)
    }

    @settings(suppress_health_check=list(HealthCheck), max_examples=300)
    @given(call=st.sampled_from(sorted(plain)), data=st.data())
    def judge(call: str, data: st.DataObject) -> None:
        form = odd_form(
            data, {**plain[call], "scope": {"since_us": 1}} if call == "share/deliver" else plain[call]
        )
        stamp = root.stamp("super", session)
        signed = sign_call(key, log.log_id, "super", call, form, stamp.at_us)
        for action in ACTIONS[call]:
            for asked in (-1, request):
                note = replace(access_of(query), action=action, request=asked)
                with contextlib.suppress(UnsignedError):
                    judged.judge(EntryOf(log.size(), stamp, note, signed))

    judge()


def odd_form(data: st.DataObject, form: Mapping[str, Any]) -> dict[str, Any]:
    """A form with one or two odd fields, at any depth."""
    odd = dict(form)
    for name in data.draw(st.sets(st.sampled_from(sorted(odd)), min_size=1, max_size=2)):
        inner = odd[name]
        if isinstance(inner, dict) and inner and data.draw(st.booleans()):
            odd[name] = {**inner, data.draw(st.sampled_from(sorted(inner))): data.draw(st.sampled_from(ODD))}
        else:
            odd[name] = data.draw(st.sampled_from(ODD))
    return odd
