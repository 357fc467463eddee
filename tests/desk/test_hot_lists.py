"""Hot lists at the desk: two people, the policy's categories, and what is sent to the units."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, cast

import pytest
from desk_asking import code_of
from desk_forms import forms
from desk_twins import HOUR_US, Department

from storage.errors import SealError
from sync.department.commands import desk_access
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.documents.lists import ListForm, ListLine, Pushed, check_list
from sync.department.desk.documents.local import check_entry
from sync.department.desk.documents.sources import DiffForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.change_entries import ChangeProposed, DocumentSigned
from sync.department.journal.entries import Refused
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import BUSY, DeskRefusal, FormError, NotYetError
from sync.department.server.open_desk import adopt_root
from sync.department.units.hot_lists import held_list
from sync.errors import StoreAwayError
from sync.hot_lists.entry import ListEntry, key_of

Tokens = Callable[[str], str]
BODY = b"Stolen;CA;7XKR219;;\nStolen;CA;7XKR21?;;\nimmigration;CA;8ABC123;;\n"
FORM = ListForm(
    list_id="doj", layout="genetec", body=BODY, issuer="DOJ", source="SVS daily", reason="daily extract"
)


def pushed(department: Department, form: ListForm) -> Pushed:
    made = department.two_hands("hotlist/push", department.logon("super"), form, second="chief")
    assert isinstance(made, Pushed)
    return made


def test_a_list_goes_out_with_a_second_persons_word_and_an_entry(
    department: Department, tokens: Tokens
) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call("hotlist/push", tokens("super"), FORM)
    assert refused.value.code == "second-person"
    made = pushed(department, FORM)
    assert (made.version, made.entries, made.as_snapshot) == (1, 1, True)
    note = department.desk.log.entry(made.entry).note
    assert isinstance(note, DocumentSigned)
    assert note.name == "hot-list/doj"
    (row,) = cast("tuple[ListLine]", department.call("hotlist/list", tokens("disp1"), NothingForm()))
    assert isinstance(row, ListLine)
    assert (row.version, row.entries, row.issuer, row.expired) == (1, 1, "DOJ", False)


def test_the_second_person_sees_what_the_list_came_to(department: Department, tokens: Tokens) -> None:
    made = department.call("hotlist/push", tokens("super"), replace(FORM, propose=True))
    assert isinstance(made, Pushed)
    for part in ("1 entry of 3 lines", "(line 2: plate: is not a plate", "immigration: 1"):
        assert part in made.said
    assert "7XKR" not in made.said
    assert held_list(department.home, "doj") is None


def not_out(department: Department, token: str, form: ListForm, error: Exception) -> tuple[ListForm, str]:
    """Push an approved list that is entered but not published because of `error`. Returns (form, cure)."""

    def fail(*_: object) -> NoReturn:
        raise error

    asked = department.call("hotlist/push", token, replace(form, propose=True))
    assert isinstance(asked, Pushed)
    yes = DecideForm(proposal=asked.proposal, granted=True, reason="read it")
    department.call("change/approve", department.logon("chief"), yes)
    approved = replace(form, approval=asked.proposal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(department, "front", replace(department.front, publish_list=fail))
        with pytest.raises(FormError) as refused:
            department.call("hotlist/push", token, approved)
    return approved, refused.value.cure


ROOM = "make room on the disk, and see that the database runs; then push it again with the same approval"


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(errno.ENOSPC, "no room"), ROOM),
        (StoreAwayError("the disk is full", cure="make room there"), ROOM),
        (SealError("wrong key", cure="restore hotlists.key"), "restore hotlists.key"),
    ],
)
def test_what_kept_an_entered_list_in_says_what_helps(
    department: Department, tokens: Tokens, error: Exception, cure: str
) -> None:
    assert not_out(department, tokens("super"), FORM, error)[1].startswith(cure)


def test_an_entered_list_that_another_policy_reads_differently_needs_another_approval(
    department: Department,
) -> None:
    """The two people saw two entries, and the log's public figures say two."""
    listed = replace(FORM, body=b"Stolen;CA;7XKR219;;\ncarjacking;CA;8XYZ123;;\n")
    token = department.logon("super")
    form, _ = not_out(department, token, listed, OSError(errno.ENOSPC, "no room"))
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    document = text.replace(', "carjacking"]', "]").encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    assert code_of(department, "hotlist/push", token, form) == "used-approval"
    assert department.call("hotlist/list", token, NothingForm()) == ()


def test_a_department_whose_name_no_list_can_bear_hears_so_before_a_proposal(department: Department) -> None:
    policy, known = replace(department.desk.policy, department="P" * 101), forms(department)
    checks: tuple[Callable[[], object], ...] = (
        lambda: check_list(policy, FORM, department.clock.us),
        lambda: check_entry(policy, known["hotlist/add"], department.clock.us),
    )
    for check in checks:
        with pytest.raises(FormError) as refused:
            check()
        assert refused.value.code == "department"


def test_a_list_that_found_a_full_disk_after_its_entry_goes_out_under_the_same_approval(
    department: Department,
) -> None:
    token = department.logon("super")
    form, _ = not_out(department, token, FORM, OSError(errno.ENOSPC, "no room"))
    assert code_of(department, "hotlist/push", token, replace(form, hours=23)) == "other-approval"
    made = department.call("hotlist/push", token, form)
    assert isinstance(made, Pushed)
    signed = list(department.desk.log.entries(kinds=(DocumentSigned.KIND,)))
    assert (made.version, [one.sequence for one in signed]) == (1, [made.entry])
    assert code_of(department, "hotlist/push", token, form) == "used-approval"


def test_a_forbidden_category_is_never_in_what_goes_out(department: Department) -> None:
    pushed(department, FORM)
    held = held_list(department.home, "doj")
    assert held is not None
    assert key_of("7XKR219") in held
    assert key_of("8ABC123") not in held


def test_a_changed_file_needs_a_new_approval(department: Department, tokens: Tokens) -> None:
    token = tokens("super")
    proposed = department.call("hotlist/push", token, replace(FORM, propose=True))
    assert isinstance(proposed, Pushed)
    from sync.department.desk.changes.calls import DecideForm

    decided = DecideForm(proposal=proposed.proposal, granted=True, reason="known to me")
    department.call("change/approve", tokens("chief"), decided)
    other = replace(FORM, body=BODY.replace(b"7XKR219", b"1AAA111"), approval=proposed.proposal)
    with pytest.raises(DeskRefusal):
        department.call("hotlist/push", token, other)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"layout": "nowhere"}, "layout"),
    ({"agency": "LASD"}, "agency"),
    ({"hours": 0}, "hours"),
    ({"hours": 24 * 32}, "hours"),
    ({"body": b""}, "list"),
    ({"body": b"?;?;?\n" * 20}, "list"),
    ({"category": "immigration"}, "list"),
    ({"reason": "."}, "reason"),
    ({"issuer": ""}, "issuer"),
    ({"source": ""}, "source"),
    ({"issuer": "DOJ " + 97 * "x"}, "issuer"),
    ({"source": "SVS " + 97 * "x"}, "source"),
    ({"issuer": "DOJ\u00a0CA"}, "issuer"),
    ({"extracted_us": -1}, "extracted_us"),
    ({"list_id": "dój"}, "list_id"),
    ({"extracted_us": 2_000_000_000_000_000}, "extracted_us"),
]


@pytest.mark.parametrize(("change", "code"), BAD, ids=lambda value: str(value)[:24])
def test_a_list_that_cannot_go_out_is_refused_before_a_second_person_is_asked(
    department: Department, tokens: Tokens, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call("hotlist/push", tokens("super"), replace(FORM, propose=True, **change))
    assert refused.value.code == code
    assert "7XKR" not in str(refused.value)


def test_the_next_version_travels_as_its_change(department: Department) -> None:
    lines = b"".join(b"Stolen;CA;7ABC%03d;;\n" % number for number in range(300))
    pushed(department, replace(FORM, body=lines))
    made = pushed(department, replace(FORM, body=lines + b"Stolen;CA;7XKR219;;\n"))
    assert (made.version, made.as_snapshot, made.removed, made.added) == (2, False, 0, 1)


def body(*numbers: int) -> bytes:
    return b"".join(b"Stolen;CA;8XYZ%03d;;\n" % number for number in numbers)


def test_a_second_person_sees_what_goes_from_the_list_that_is_out(department: Department) -> None:
    """One plate is exchanged for another, so the count stays; then most of the file is missing."""
    before, exchanged = replace(FORM, body=body(*range(20))), replace(FORM, body=body(*range(1, 21)))

    def told(form: ListForm) -> tuple[str, int]:
        made = department.call("hotlist/push", department.logon("super"), replace(form, propose=True))
        assert isinstance(made, Pushed)
        note = department.desk.log.entry(made.proposal).note
        assert isinstance(note, ChangeProposed)
        return note.summary, made.proposal

    assert "the first version" in told(replace(FORM, body=body(1)))[0]
    pushed(department, before)
    words, proposal = told(exchanged)
    assert "20 entries of 20 lines; 1 removed and 1 added since version 1;" in words
    assert "8XYZ" not in words
    assert (
        "15 removed and 0 added since version 1: more than a tenth"
        in told(replace(FORM, body=body(*range(5))))[0]
    )
    older = replace(before, extracted_us=department.clock.us - HOUR_US)
    assert "since version 1; an older extract than the one that is out;" in told(older)[0]
    decide = DecideForm(proposal=proposal, granted=True, reason="known to me")
    department.call("change/approve", department.logon("chief"), decide)
    pushed(department, replace(FORM, body=body(*range(21))))  # a newer list than the approved one
    with pytest.raises(DeskRefusal, match="what the second person saw"):
        department.call("hotlist/push", department.logon("super"), replace(exchanged, approval=proposal))


def test_a_reason_that_is_typed_like_the_change_approves_no_other_one(department: Department) -> None:
    """The proposer's words are shown beside what the list changes."""
    pushed(department, replace(FORM, body=body(*range(20))))
    trick = "daily; 1 removed and 0 added since version 2"
    form = replace(FORM, body=body(*range(1, 20)), reason=trick)
    made = department.call("hotlist/push", department.logon("super"), replace(form, propose=True))
    assert isinstance(made, Pushed)
    decide = DecideForm(proposal=made.proposal, granted=True, reason="known to me")
    department.call("change/approve", department.logon("chief"), decide)
    pushed(department, replace(FORM, body=body(*range(20)), reason="the next extract"))  # version 2
    with pytest.raises(DeskRefusal, match="what the second person saw"):
        department.call("hotlist/push", department.logon("super"), replace(form, approval=made.proposal))


def test_a_long_list_is_read_while_everybody_else_works_on(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lookup is made while the list is compared with the one in use; a newer version is noticed."""
    pushed(department, FORM)
    other, front = department.logon("comm1"), department.front
    done: list[object] = []

    def meanwhile(work: Callable[[], object]) -> None:
        thread = threading.Thread(target=lambda: done.append(work()))
        thread.start()
        thread.join(60)  # must not wait for this call

    def slow(list_id: str) -> list[ListEntry]:
        meanwhile(lambda: department.call("inquiry/mine", other, NothingForm()))
        return front.list_entries(list_id)

    form = replace(FORM, body=BODY + b"Stolen;CA;8XYZ123;;\n", propose=True)
    monkeypatch.setattr(department, "front", replace(front, list_entries=slow))
    department.call("hotlist/push", department.logon("super"), form)
    assert len(done) == 1

    def overtaken(list_id: str) -> list[ListEntry]:
        elsewhere = replace(front, reading=threading.Lock())  # a command in another process
        monkeypatch.setattr(department, "front", elsewhere)
        meanwhile(lambda: pushed(department, replace(FORM, body=BODY + b"Stolen;CA;8XYZ124;;\n")))
        return front.list_entries(list_id)

    token = department.logon("super")
    monkeypatch.setattr(department, "front", replace(front, list_entries=overtaken))
    with pytest.raises(NotYetError, match="while this one was read"):
        department.call("hotlist/push", token, replace(form, hours=23))


def test_one_long_list_is_read_at_a_time_and_a_client_waits_for_its_turn(
    department: Department, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each takes seconds and much memory; other calls are not delayed."""
    front = department.front
    pushed(department, FORM)
    first, second = department.logon("super"), department.logon("chief")
    form = replace(FORM, body=BODY + b"Stolen;CA;8XYZ123;;\n", propose=True)
    asked = DiffForm(list_id="doj", layout="genetec", body=BODY)
    tries: list[tuple[str, object]] = [("hotlist/push", form), ("hotlist/diff", asked)]
    found: list[str] = []

    def slow(list_id: str) -> list[ListEntry]:
        monkeypatch.setattr(department, "front", front)
        for name, one in tries:
            with pytest.raises(NotYetError) as refused:
                department.call(name, second, one)
            found.append(refused.value.code)
        return front.list_entries(list_id)

    monkeypatch.setattr(department, "front", replace(front, list_entries=slow))
    department.call("hotlist/push", first, form)
    assert found == [BUSY, BUSY]
    notes = [one.note for one in department.desk.log.entries() if isinstance(one.note, Refused)]
    assert [one.code for one in notes[-2:]] == [BUSY, BUSY]

    def ending(name: str, one: object) -> object:
        try:
            return department.call(name, second, one)
        except NotYetError:
            front.reading.release()  # the other list has been read
            raise

    monkeypatch.setattr(desk_access, "BUSY_S", 0.0)
    call = desk_access.proving(ending, lambda *_given: pytest.fail("no proof is asked for"))
    for name, one in tries:
        assert front.reading.acquire(blocking=False)
        assert call(name, one) is not None
        assert capsys.readouterr().err == "department: another hot list is being read; waiting\n"
    front.reading.acquire()
    monkeypatch.setattr(desk_access, "BUSY_TRIES", 1)
    with pytest.raises(NotYetError, match="try again"):
        call("hotlist/push", form)
