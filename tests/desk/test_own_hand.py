"""What a person must do themselves: unlock a session, file, answer, accept a designation."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import look_up
from desk_root import Root, access_of, account_form, problems
from desk_twins import GROUND, PASSWORD, Department

from storage.codec import to_plain
from storage.times import DAY_US, HOUR_US, SECOND_US
from sync.department.content.followed_state import Followed, judge
from sync.department.desk.inquiry.filing import file
from sync.department.desk.inquiry.forms import (
    AskForm,
    DeclineForm,
    Entered,
    FileCaseForm,
    FileForm,
    FileManyForm,
    Filing,
    InquiryDecideForm,
    ProposeForm,
    RunForm,
    StepForm,
)
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token
from sync.department.journal.change_entries import DesignationSet
from sync.department.journal.entries import (
    BY_OWN_HAND,
    SHOWN_WHOLE,
    AccessLogOpened,
    Filed,
    RequestAnswered,
    SessionEnded,
)
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.inquiry_entries import AccessEnded, Query
from sync.department.journal.made_by import demand_made
from sync.department.journal.person_entries import SessionKeySet
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.statements import SESSION, Statement, certify, form_bytes
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role

QUERY = Query(plate="8XYZ123", since_us=0, until_us=DAY_US)
Unlock = Callable[[Root, bytes, Stamp], tuple[SessionEnded, Stamp]]


def locked(department: Department) -> str:
    token = department.logon("comm1")
    department.desk.logons.logoff(token, lock=True)
    return token


def bare(_root: Root, session: bytes, stamp: Stamp) -> tuple[SessionEnded, Stamp]:
    return SessionEnded(session=session, how="unlocked", totp_step=-1), stamp


def by_another_word(_root: Root, session: bytes, stamp: Stamp) -> tuple[SessionEnded, Stamp]:
    return SessionEnded(session=session, how="continued", totp_step=-1), stamp


def in_another_name(root: Root, session: bytes, _stamp: Stamp) -> tuple[SessionEnded, Stamp]:
    return SessionEnded(session=session, how="unlocked", totp_step=-1), root.stamp("super", session)


def with_the_logon_s_certificate(root: Root, session: bytes, stamp: Stamp) -> tuple[SessionEnded, Stamp]:
    keys = [one.note for one in root.log.entries(kinds=(SessionKeySet.KIND,))]
    used = next(one.certificate for one in keys if isinstance(one, SessionKeySet) and one.session == session)
    return SessionEnded(session=session, how="unlocked", totp_step=1, certificate=used), stamp


def with_a_certificate_of_root_s(root: Root, session: bytes, stamp: Stamp) -> tuple[SessionEnded, Stamp]:
    public = root.department.desk.book.signers.sessions[session].public_key
    made = certify(root.own, root.log.log_id, stamp.user, SESSION, public, stamp.at_us)
    return SessionEnded(session=session, how="unlocked", totp_step=1, certificate=made), stamp


UNLOCKS: tuple[tuple[Unlock, str], ...] = (
    (bare, "comm1 proved nothing that opens the session again"),
    (by_another_word, "only comm1 opens that session again"),
    (in_another_name, "only comm1 opens that session again"),
    (with_the_logon_s_certificate, "the certificate was used before"),
    (with_a_certificate_of_root_s, "comm1's key did not sign it"),
)


@pytest.mark.parametrize(("attack", "words"), UNLOCKS, ids=[attack.__name__ for attack, _ in UNLOCKS])
def test_root_opens_no_locked_session_for_its_key(department: Department, attack: Unlock, words: str) -> None:
    token, root = locked(department), Root(department)
    session, given = digest_of(token), read_token(token)
    assert isinstance(given.key, Ed25519PrivateKey)
    note, stamp = attack(root, session, root.stamp("comm1", session))
    entry = root.write(note, stamp)
    department.clock.step(SECOND_US)
    search = root.write(root.look_up(), root.stamp("comm1", session), root.statement(given.key))
    named = problems(department)
    assert any(one.startswith(f"entry {entry}: ") and words in one for one in named), named
    with pytest.raises(DeskRefusal, match="its session was locked"):
        root.opens(search)


def test_a_person_unlocks_their_own_session_and_signs_in_it(department: Department) -> None:
    token = locked(department)
    for _ in range(2):  # each unlock has its own certificate
        department.clock.step(31 * SECOND_US)
        department.desk.logons.unlock(token, PASSWORD, department.code("comm1"))
        department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
        department.desk.logons.logoff(token, lock=True)
        department.restart()
    assert problems(department) == ()


def test_a_second_lock_does_not_count_what_was_signed_after_the_first(department: Department) -> None:
    token, root = locked(department), Root(department)
    session, given = digest_of(token), read_token(token)
    assert isinstance(given.key, Ed25519PrivateKey)
    department.clock.step(HOUR_US)
    look, signed = root.look_up(), root.statement(given.key)
    department.clock.step(SECOND_US)
    stamp = root.stamp("comm1", session)
    root.write(SessionEnded(session=session, how="locked", totp_step=-1), stamp)
    search = root.write(look, stamp, signed)
    assert any(
        one.startswith(f"entry {search}: ") and "session was locked" in one for one in problems(department)
    )
    with pytest.raises(DeskRefusal, match="its session was locked"):
        root.opens(search)


def test_a_backdated_old_unlock_opens_no_session_again(department: Department) -> None:
    """The key service remembers used certificates for an hour."""
    token = locked(department)
    department.clock.step(31 * SECOND_US)
    department.desk.logons.unlock(token, PASSWORD, department.code("comm1"))
    used = department.desk.log.entry(department.desk.log.size() - 1)
    assert isinstance(used.note, SessionEnded)
    for _ in range(2):
        department.clock.step(HOUR_US)
        look_up(department, department.logon("disp1"))
        department.desk.logons.logoff(token, lock=True)
    log, known = department.desk.log, Followed()
    entries = [*log.entries(), replace(used, sequence=log.size())]
    for entry in entries:
        judge(known, entry)
    assert known.judged[log.size()].reason == "it is dated before the entry before it"
    assert known.signed.signers.sessions[digest_of(token)].locked_us > used.stamp.at_us


def test_the_desk_takes_no_certificate_that_the_log_refuses(department: Department) -> None:
    token, size = locked(department), department.desk.log.size()
    note, _ = with_the_logon_s_certificate(
        Root(department), digest_of(token), Root(department).stamp("comm1", b"")
    )
    department.clock.step(31 * SECOND_US)
    with pytest.raises(DeskRefusal, match="the certificate was used before"):
        department.desk.logons.unlock(token, "", department.code("comm1"), certificate=note.certificate)
    assert department.desk.log.size() == size


def test_a_session_s_end_is_written_as_an_older_version_reads_it() -> None:
    assert "certificate" not in to_plain(SessionEnded(session=b"", how="logoff", totp_step=-1))
    assert "more" not in to_plain(FILED)


@pytest.mark.parametrize(("form", "counts"), [(SHOWN_WHOLE, True), (BY_OWN_HAND, False)])
def test_unsigned_ones_count_on_in_a_log_of_form_9(department: Department, form: int, counts: bool) -> None:
    root, session = Root(department), digest_of(locked(department))
    notes: tuple[Note, ...] = (
        SessionEnded(session=session, how="unlocked", totp_step=1),
        Filed(access=1, rms_number="RMS-1"),
        RequestAnswered(request=1, access=-1, reads=(), reason="no"),
    )
    made = [root.write(note, root.stamp("comm1", session)) for note in notes]
    first, *others = department.desk.log.entries()
    assert isinstance(first.note, AccessLogOpened)
    known, refused = SignedLog(), []
    for entry in (replace(first, note=replace(first.note, signs=form)), *others):
        try:
            known.judge(entry)
        except UnsignedError:
            refused.append(entry.sequence)
    assert refused == ([] if counts else made)


# what is filed and answered ------------------------------------------------------------------------------

LINES = FileManyForm(filings=(Filing(access=3, rms_number="R-2"), Filing(access=4, rms_number="R-1")))
DECLINED = RequestAnswered(request=4, access=-1, reads=(), reason="no case")
ANSWERED = RequestAnswered(request=4, access=5, reads=("a/1",), reason="")
FILED = Filed(access=4, rms_number="R-1")
BOUND: tuple[tuple[str, Any, Note, tuple[Note, ...]], ...] = (
    (
        "inquiry/decline",
        DeclineForm(request=4, reason="no case"),
        DECLINED,
        (
            replace(DECLINED, request=5),
            replace(DECLINED, reason="no"),
            replace(DECLINED, access=5),
            replace(DECLINED, reads=("a/1",)),
        ),
    ),
    (
        "inquiry/run",
        RunForm(query=QUERY, ground=GROUND, request=4),
        ANSWERED,
        (replace(ANSWERED, request=5), replace(ANSWERED, access=-1), replace(ANSWERED, reason="no")),
    ),
    (
        "inquiry/step",
        StepForm(access=5, query=QUERY),
        ANSWERED,
        (replace(ANSWERED, access=6), replace(ANSWERED, access=-1), replace(ANSWERED, reason="no")),
    ),
    (
        "inquiry/file",
        FileForm(access=4, rms_number=" R-1"),
        FILED,
        (replace(FILED, access=5), replace(FILED, rms_number="R-2")),
    ),
    (
        "inquiry/file-case",
        FileCaseForm(number="26-1", rms_number="R-1"),
        FILED,
        (replace(FILED, rms_number="R-2"),),
    ),
    (
        "inquiry/file-many",
        LINES,
        replace(FILED, more=((3, "R-2"),)),
        (
            replace(FILED, access=3),
            replace(FILED, rms_number="R-2"),
            replace(FILED, more=((3, "R-2"), (5, "R-2"))),
            replace(FILED, more=((3, "R-1"),)),
        ),
    ),
)


@pytest.mark.parametrize(("call", "form", "note", "turned"), BOUND, ids=[one[0] for one in BOUND])
def test_an_answer_and_a_filing_say_what_their_person_signed(
    call: str, form: object, note: Note, turned: tuple[Note, ...]
) -> None:
    said = Statement(
        department=bytes(32), user="o1", call=call, form=form_bytes(form), at_us=1, nonce=os.urandom(16)
    )
    demand_made(note, said)
    for one in turned:
        with pytest.raises(UnsignedError):
            demand_made(one, said)


@pytest.mark.parametrize("many", [False, True])
def test_a_case_s_number_files_only_accesses_of_that_case_each_once(
    department: Department, many: bool
) -> None:
    root, comm = Root(department), department.logon("comm1")
    own, other, later = (
        look_up(department, comm, number) for number in ("26-001234", "26-005555", "26-001234")
    )
    call, form = "inquiry/file-case", FileCaseForm(number="26-001234", rms_number="R-1")
    turned = "inquiry/file-many", FileManyForm(filings=(Filing(number="26-001234", rms_number="R-1"),))
    by = root.signed("comm1", *(turned if many else (call, form)))
    named, known = [], Followed()
    for accesses in ((own, other), (own,), (own, later), (later,)):
        note = Filed(access=accesses[0], rms_number="R-1", more=tuple((one, "R-1") for one in accesses[1:]))
        named.append(root.write(note, *by))
        by = root.signed("comm1", call, form)
    for entry in department.desk.log.entries():
        judge(known, entry)
    words = "it files an access that is not of that case, or was filed before"
    wrong = [one for one in problems(department) if words in one]
    assert [int(one.split()[1][:-1]) for one in wrong] == [named[0], named[2]]
    assert [known.judged[one].reason for one in named] == [words, "", words, ""]


def test_two_people_who_file_one_case_at_once_file_it_once(department: Department) -> None:
    access, front = look_up(department, department.logon("comm1")), department.front
    form, token = FileCaseForm(number=GROUND.number, rms_number="R-1"), department.logon("disp1")

    class Late:
        """Returns the list as it was before a colleague filed the case during the call."""

        def of(self, *given: object) -> object:
            found = front.requests.of(*given)  # type: ignore[arg-type]
            department.front = front
            with ThreadPoolExecutor(1) as another:  # a call's signature belongs to its thread
                another.submit(department.call, "inquiry/file-case", token, form).result()
            return found

    department.front = replace(front, requests=Late())  # type: ignore[arg-type]
    with pytest.raises(DeskRefusal, match="all of its accesses are filed"):
        department.call("inquiry/file-case", department.logon("comm1"), replace(form, rms_number="R-2"))
    assert [one.rms_number for one in front.requests.of(department.desk.log) if one.entry == access] == [
        "R-1"
    ]
    assert problems(department) == ()


def wide_request(root: Root) -> tuple[Query, int, int]:
    """(search, request, proposal) of an approved search that officer1 requested and comm1 proposed."""
    department, query = root.department, root.query("8XYZ*")
    ask = AskForm(query=query, ground=GROUND)
    asked = department.call("inquiry/request", department.logon("officer1"), ask)
    form = ProposeForm(query=None, ground=None, request=asked.entry)  # type: ignore[attr-defined]
    proposed = department.call("inquiry/propose", department.logon("comm1"), form)
    yes = InquiryDecideForm(proposal=proposed.entry, granted=True, reason="known to me")  # type: ignore[attr-defined]
    department.call("inquiry/approve", department.logon("super"), yes)
    return query, form.request, yes.proposal


@pytest.mark.parametrize("turned", [None, "request", "person"])
def test_a_search_by_a_proposal_is_for_the_request_of_that_proposal(
    department: Department, turned: str | None
) -> None:
    root = Root(department)
    other = department.call(
        "inquiry/request", department.logon("officer1"), AskForm(query=root.query(), ground=GROUND)
    )
    query, request, proposal = wide_request(root)
    access = replace(access_of(query), on_behalf_of="officer1", request=request, approval=proposal)
    if turned == "request":
        access = replace(access, request=other.entry)  # type: ignore[attr-defined]
    elif turned == "person":
        access = replace(access, on_behalf_of="", request=-1)
    stamp, signed = root.signed("comm1", "inquiry/run", RunForm(query=None, ground=None, proposal=proposal))
    entry = root.write(access, stamp, signed)
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: access")]
    words = {"request": "asks for another search", "person": "proposed for another request"}
    assert [turned is None or words[turned] in one for one in named] == [True] * (turned is not None)


@pytest.mark.parametrize("call", ["inquiry/run", "inquiry/step"])
@pytest.mark.parametrize("right", [False, True])
def test_an_answer_is_to_the_request_of_its_search(department: Department, call: str, right: bool) -> None:
    root = Root(department)
    other = department.call(
        "inquiry/request", department.logon("officer1"), AskForm(query=root.query(), ground=GROUND)
    )
    query, request, proposal = wide_request(root)
    answer = department.call(
        "inquiry/run", department.logon("comm1"), RunForm(query=None, ground=None, proposal=proposal)
    )
    department.restart()
    root, made = Root(department), answer.access  # type: ignore[attr-defined]
    assert problems(department) == ()
    note = RequestAnswered(
        request=request if right else other.entry,  # type: ignore[attr-defined]
        access=made,
        reads=(),
        reason="",
    )
    form = RunForm(query=None, ground=None, proposal=proposal)
    step = StepForm(access=made, query=query)
    stamp, signed = root.signed("comm1", call, form if call == "inquiry/run" else step)
    entry = root.write(note, stamp, signed)
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: ")]
    assert ["is of another request, or of a declined one" in one for one in named] == [True] * (not right)


def test_a_declined_request_gets_no_answer(department: Department) -> None:
    """Nor a search: the desk has already refused it to the requester."""
    root = Root(department)
    query, request, proposal = wide_request(root)
    form = RunForm(query=None, ground=None, proposal=proposal)
    begun = department.call("inquiry/begin", department.logon("comm1"), form)
    no = DeclineForm(request=request, reason="the case was closed")
    refused = department.desk.book.queue.taken[request].stamp.user
    with pytest.raises(DeskRefusal, match=f"{refused} is answering that request"):
        department.call("inquiry/decline", department.logon("disp1"), no)
    department.call("inquiry/decline", department.logon("comm1"), no)
    step = StepForm(access=begun.access, query=query)  # type: ignore[attr-defined]
    with pytest.raises(DeskRefusal, match="comm1 declined that request already"):
        department.call("inquiry/step", department.logon("comm1"), step)
    assert problems(department) == ()
    note = RequestAnswered(request=request, access=step.access, reads=(), reason="")
    stamp, signed = root.signed("comm1", "inquiry/step", step)
    entry = root.write(note, stamp, signed)
    assert any(one.startswith(f"entry {entry}: ") and "declined one" in one for one in problems(department))
    stamp, signed = root.signed("comm1", "inquiry/run", RunForm(request=request))
    access = replace(access_of(query), on_behalf_of="officer1", request=request)
    entry = root.write(access, stamp, signed)
    assert any(one.startswith(f"entry {entry}: access") for one in problems(department))


@pytest.mark.parametrize("steps", [False, True])
def test_a_request_that_is_declined_while_its_search_runs_stays_declined(
    department: Department, steps: bool
) -> None:
    root = Root(department)
    query, request, proposal = wide_request(root)
    token, reads, book = department.logon("comm1"), department.front.reads, department.desk.book
    no = DeclineForm(request=request, reason="the case was closed")

    class Declined:
        """Lets the dispatcher decline the request in another tab while the reads are being found."""

        def __getattr__(self, name: str) -> Any:
            if name in {"find", "match"} and request not in book.queue.answered:
                with ThreadPoolExecutor(1) as another:
                    another.submit(department.call, "inquiry/decline", token, no).result()
            return getattr(reads, name)

    department.front = replace(department.front, reads=Declined())
    call, form = "inquiry/run", RunForm(query=None, ground=None, proposal=proposal)
    if steps:
        begun: Any = department.call("inquiry/begin", token, form)
        call, form = "inquiry/step", StepForm(access=begun.access, query=query)  # type: ignore[assignment]
    with pytest.raises(DeskRefusal, match="comm1 declined that request already"):
        department.call(call, token, form)
    assert department.desk.book.queue.answered[request].note.access == -1
    assert AccessEnded.KIND in {one.note.KIND for one in department.desk.log.entries(proposal)}
    assert problems(department) == ()


def test_the_result_of_a_search_is_entered_though_its_person_logged_off_meanwhile(
    department: Department,
) -> None:
    query = department.plate("8XYZ123")
    asked = department.call(
        "inquiry/request", department.logon("officer1"), AskForm(query=query, ground=GROUND)
    )
    assert isinstance(asked, Entered)
    token, reads, size = department.logon("comm1"), department.front.reads, department.desk.log.size()

    class LoggedOff:
        """Lets the dispatcher log out in another tab while the reads are being found."""

        def __getattr__(self, name: str) -> object:
            return getattr(reads, name)

        def find(self, *given: object) -> object:
            department.desk.logons.logoff(token)
            return reads.find(*given)  # type: ignore[arg-type]

    department.front = replace(department.front, reads=LoggedOff())  # type: ignore[arg-type]
    with pytest.raises(DeskRefusal, match="not be proven to be comm1's"):
        department.call("inquiry/run", token, RunForm(request=asked.entry))
    assert AccessEnded.KIND in {one.note.KIND for one in department.desk.log.entries(size)}


def test_a_program_that_signs_no_filing_is_named_as_older(department: Department) -> None:
    access = look_up(department, department.logon("comm1"))
    with pytest.raises(DeskRefusal, match="it has no signature") as refused:
        file(department.front, department.logon("comm1"), FileForm(access=access, rms_number="RMS-1"))
    assert refused.value.cure.startswith("update `department` on this workstation")


# a designation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left_out", [False, True], ids=["whole", "without the account's entry"])
def test_one_person_gives_no_designation_a_later_end(department: Department, left_out: bool) -> None:
    root, roster = Root(department), department.desk.book.roster
    known, held_us = roster.accounts["deputy"], roster.designations["deputy"]
    department.clock.step(max(held_us - department.clock.us, 0) % DAY_US + SECOND_US)
    ends_us = held_us + DAY_US
    form = account_form(known, ends_us=ends_us)
    stamp, signed = root.signed("chief", "user/set", form)
    written = [] if left_out else [root.write(replace(known, reason=form.reason), stamp, signed)]
    written.append(root.write(DesignationSet(user="deputy", ends_us=ends_us), stamp, signed))
    named = problems(department)
    for entry in written:
        words = "it takes two people, and no second person signed"
        assert any(one.startswith(f"entry {entry}: ") and words in one for one in named), named


def test_the_desk_asks_a_second_person_for_a_later_end_and_none_for_an_earlier(
    department: Department,
) -> None:
    roster = department.desk.book.roster
    known, held_us = roster.accounts["deputy"], roster.designations["deputy"]
    department.clock.step(2 * DAY_US)
    assert Role.DESIGNEE in known.roles
    later, sooner = account_form(known), account_form(known, ends_us=held_us - DAY_US)
    with pytest.raises(DeskRefusal, match="second person"):
        department.call("user/set", department.logon("chief"), later)
    proposed = department.call("user/set", department.logon("chief"), replace(later, propose=True))
    assert proposed.entry > 0  # type: ignore[attr-defined]
    department.call("user/set", department.logon("chief"), sooner)
    assert problems(department) == ()
