"""Redress: anyone may ask, the administrator sees and answers it, and strangers cannot fill the log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from desk_asking import code_of
from desk_twins import Department

from storage.times import DAY_US, HOUR_US, SECOND_US
from sync.department.desk import compliance
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.public import MAX_REDRESS_BYTES
from sync.department.desk.redress import rules
from sync.department.desk.redress.calls import PaperForm, RedressAnswerForm, RedressForm, RedressRow, ask
from sync.department.desk.transparency.counts import counted
from sync.department.desk.transparency.rules import Redress
from sync.department.journal.redress_entries import RedressAsked
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import TooManyError
from sync.department.policy.roles import Call, Role

Tokens = Callable[[str], str]
FORM = RedressForm(
    about="stop", contact="j.doe@example.org", words="I was stopped\nat gunpoint on Huntington Drive, May 4"
)
BODY = {"about": FORM.about, "contact": FORM.contact, "words": FORM.words}


def rows(department: Department, token: str) -> list[RedressRow]:
    found: Any = department.call("redress/list", token, NothingForm())
    return list(found)


def test_a_request_waits_for_the_administrator_and_is_answered_once(
    department: Department, tokens: Tokens, client: httpx.Client
) -> None:
    answer = client.post("/desk/redress", json=BODY)
    assert (answer.status_code, answer.json()["days"]) == (200, rules.ANSWER_DAYS)
    number = answer.json()["request"]
    (row,) = rows(department, tokens("chief"))
    assert (row.request, row.outcome, row.contact) == (number, "", FORM.contact)
    assert row.words == "I was stopped at gunpoint on Huntington Drive, May 4"
    settle = RedressAnswerForm(request=number, outcome="corrected", note="list corrected, told by mail")
    for bad, code in (
        (replace(settle, outcome="whatever"), "outcome"),
        (replace(settle, note="done"), "note"),
        (replace(settle, request=0), "no-request"),
    ):
        assert code_of(department, "redress/answer", tokens("deputy"), bad) == code
    department.call("redress/answer", tokens("deputy"), settle)
    assert code_of(department, "redress/answer", tokens("chief"), settle) == "answered"
    (row,) = rows(department, tokens("chief"))
    assert (row.outcome, row.answered_by) == ("corrected", "deputy")
    department.desk.try_cover(department.desk.log.size() - 1)
    assert counted(department.desk).redress == Redress(asked=1, answered=1)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("پلیس دیروز مرا متوقف کرد، می\u200cخواهم بدانم", "پلیس دیروز مرا متوقف کرد، میخواهم بدانم"),
        ("\u200fأوقفتني الشرطة أمس\u200f", "أوقفتني الشرطة أمس"),
        ("I was stop\u00adped on Myrtle\u00a0Avenue", "I was stopped on Myrtle Avenue"),
        ("I was stopped \u202e yesterday", ""),
        ("I was stopped\u2066 yesterday\u2069", "I was stopped yesterday"),
        ("\u200c\u200c \u200d \u200e", ""),
    ],
)
def test_a_request_in_any_script_is_taken_without_the_marks_of_its_keyboard(
    department: Department, tokens: Tokens, client: httpx.Client, words: str, kept: str
) -> None:
    answer = client.post("/desk/redress", json=BODY | {"words": words, "contact": "\u200e626 555 0100"})
    assert answer.status_code == (200 if kept else 422)
    assert [(one.words, one.contact) for one in rows(department, tokens("chief"))] == (
        [(kept, "626 555 0100")] if kept else []
    )


@pytest.mark.parametrize("user", ["super", "comm1", "officer1", "analyst1", "reviewer1", "vendor1"])
def test_no_other_role_sees_who_asked(department: Department, tokens: Tokens, user: str) -> None:
    ask(department.front, "192.0.2.1", FORM)
    assert code_of(department, "redress/list", tokens(user), NothingForm()) == "role"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"about": "praise"}, "about"),
        ({"contact": "x"}, "contact"),
        ({"contact": "j" * 201}, "contact"),
        ({"words": "help me"}, "words"),
        ({"words": "a b c " * 400}, "words"),
        ({"words": "I was \x1b[31mstopped here"}, "characters"),
        ({"contact": "j\u202edoe@example.org"}, "characters"),
        ({"plate": "8XYZ123"}, "form"),
    ],
)
def test_a_request_that_says_too_little_or_too_much_is_refused_and_not_entered(
    department: Department, client: httpx.Client, change: dict[str, str], code: str
) -> None:
    size = department.desk.log.size()
    answer = client.post("/desk/redress", json={**BODY, **change})
    assert (answer.status_code, answer.json()["refused"]) == (422, code)
    assert department.desk.log.size() == size


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"[" * 10_000, b"\xff"])
def test_a_body_that_is_not_a_form_is_refused(
    department: Department, client: httpx.Client, body: bytes
) -> None:
    size = department.desk.log.size()
    assert client.post("/desk/redress", content=body).status_code == 422
    assert department.desk.log.size() == size


def test_a_large_body_is_cut_off(client: httpx.Client) -> None:
    assert client.post("/desk/redress", content=b" " * (MAX_REDRESS_BYTES + 1)).status_code == 413


def test_one_address_asks_so_often_and_no_more(department: Department) -> None:
    for _ in range(rules.AN_HOUR):
        ask(department.front, "192.0.2.1", FORM)
    size = department.desk.log.size()
    department.clock.step(HOUR_US // 2)
    with pytest.raises(TooManyError) as refused:
        ask(department.front, "192.0.2.1", FORM)
    assert department.desk.log.size() == size
    ask(department.front, "192.0.2.2", FORM)
    assert HOUR_US // 2 <= refused.value.after_s * SECOND_US < HOUR_US
    department.clock.step(refused.value.after_s * SECOND_US)
    ask(department.front, "192.0.2.1", FORM)


def test_an_answer_that_says_later_says_when(department: Department, client: httpx.Client) -> None:
    for _ in range(rules.AN_HOUR):
        assert client.post("/desk/redress", json=BODY).status_code == 200
    answer = client.post("/desk/redress", json=BODY)
    assert (answer.status_code, answer.json()["refused"]) == (429, "too-many")
    assert 0 < int(answer.headers["retry-after"]) <= 3601


def test_many_addresses_cannot_fill_the_log(department: Department) -> None:
    made = 0
    for number in range(rules.A_DAY + 20):
        with contextlib.suppress(TooManyError):
            ask(department.front, f"2001:db8:{number:x}::1", FORM)
            made += 1
    assert made == rules.A_DAY
    department.clock.step(DAY_US)
    ask(department.front, "192.0.2.9", FORM)


def test_a_request_without_an_answer_is_overdue_after_its_days(
    department: Department, tokens: Tokens
) -> None:
    ask(department.front, "192.0.2.1", FORM)

    def kinds() -> set[str]:
        found: Any = department.call("compliance/overdue", department.logon("chief"), OverdueForm())
        return {one.kind for one in found}

    assert "redress" not in kinds()
    department.clock.step(rules.ANSWER_DAYS * DAY_US)
    assert "redress" in kinds()


def test_nothing_of_where_it_came_from_is_kept(department: Department, client: httpx.Client) -> None:
    client.post("/desk/redress", json=BODY)
    (entry,) = department.desk.log.entries(kinds=("redress_asked",))
    assert "127.0.0.1" not in str(entry)
    assert entry.stamp.user == "system"
    assert FORM.contact not in repr(entry)
    assert department.desk.policy.grants is not None
    holders = {
        role.value for role, calls in department.desk.policy.grants.items() if Call.REDRESS_ANSWER in calls
    }
    assert holders == {"administrator", "designee"}


def test_an_earlier_policy_reports_that_no_role_may_answer(department: Department) -> None:
    desk = department.desk
    now_us = desk.now_us()
    policy, book = desk.policy, desk.book
    assert "redress" not in {one.kind for one in compliance.overdue(policy, book, [], now_us)}

    def granting(*offices: Role) -> Policy:
        calls = {one.id: {Call.REDRESS_ANSWER} if one.id in offices else set() for one in policy.roles}
        roles = (
            replace(one, calls=tuple({*one.calls} - {Call.REDRESS_ANSWER} | calls[one.id]))
            for one in policy.roles
        )
        return replace(policy, roles=tuple(roles))

    found = compliance.overdue(granting(), book, [], now_us)
    (said,) = [one for one in found if one.kind == "redress"]
    assert (said.clause, "sign a policy that grants redress.answer" in said.what) == ("463.4", True)
    designee = compliance.overdue(granting(Role.DESIGNEE), book, [], now_us)
    assert "redress" not in {one.kind for one in designee}


# on paper -------------------------------------------------------------------------------------------------


def on_paper(department: Department, days: int = 10) -> PaperForm:
    """Enter a paper form that arrived this many days ago."""
    return PaperForm(
        about=FORM.about,
        contact="415 S.  Ivy Avenue",
        words="I was stopped at gunpoint on Huntington Drive, May 4",
        received_us=department.clock.us - days * DAY_US,
    )


def test_a_paper_form_is_entered_with_the_day_it_came_and_is_due_from_then(
    department: Department, tokens: Tokens
) -> None:
    form = on_paper(department)
    asked: Any = department.call("redress/enter", tokens("chief"), form)
    assert asked.days == rules.ANSWER_DAYS - 10
    (row,) = rows(department, tokens("deputy"))
    assert (row.request, row.contact, row.entered_by) == (asked.request, "415 S. Ivy Avenue", "chief")
    assert (row.at_us, row.due_us) == (form.received_us, form.received_us + rules.ANSWER_DAYS * DAY_US)
    (entry,) = department.desk.log.entries(kinds=(RedressAsked.KIND,))
    assert entry.stamp.user == "chief"
    settle = RedressAnswerForm(
        request=asked.request, outcome="corrected", note="list corrected, told by letter"
    )
    department.call("redress/answer", tokens("deputy"), settle)
    department.desk.try_cover(department.desk.log.size() - 1)
    assert counted(department.desk).redress == Redress(asked=1, answered=1)


def test_a_paper_form_kept_too_long_is_entered_and_overdue_at_once(
    department: Department, tokens: Tokens
) -> None:
    asked: Any = department.call(
        "redress/enter", tokens("chief"), on_paper(department, rules.ANSWER_DAYS + 1)
    )
    assert asked.days == 0
    found: Any = department.call("compliance/overdue", tokens("chief"), OverdueForm())
    assert "redress" in {one.kind for one in found}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"about": "praise"}, "about"),
        ({"contact": "x"}, "contact"),
        ({"words": "help me"}, "words"),
        ({"words": "I was \x1b[31mstopped here"}, "characters"),
        ({"received_us": 0}, "received_us"),
        ({"received_us": 1 << 60}, "received_us"),
    ],
)
def test_a_paper_form_that_says_too_little_or_of_no_day_is_refused(
    department: Department, tokens: Tokens, change: dict[str, Any], code: str
) -> None:
    form = replace(on_paper(department), **change)
    assert code_of(department, "redress/enter", tokens("chief"), form) == code
    assert list(department.desk.log.entries(kinds=(RedressAsked.KIND,))) == []


@pytest.mark.parametrize("user", ["super", "officer1", "reviewer1"])
def test_no_other_role_enters_a_paper_form(department: Department, tokens: Tokens, user: str) -> None:
    assert code_of(department, "redress/enter", tokens(user), on_paper(department)) == "role"


def test_strangers_who_use_up_the_day_keep_no_paper_form_out_nor_paper_forms_a_stranger(
    department: Department, tokens: Tokens
) -> None:
    chief = tokens("chief")
    for _ in range(rules.A_DAY):
        department.call("redress/enter", chief, on_paper(department))
    for number in range(rules.A_DAY):
        ask(department.front, f"2001:db8:{number:x}::1", FORM)
    with pytest.raises(TooManyError):
        ask(department.front, "192.0.2.1", FORM)
    department.call("redress/enter", chief, on_paper(department))
