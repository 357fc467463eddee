"""No file of the department, its key service or its witness has a plate in the clear, whatever people do.

Every file is searched after a day's work, both while all is open and after it is closed: databases with their
free pages and write-ahead logs, snapshots, logs, leftovers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from at_rest import found_in
from desk_cars import Car
from desk_forms import forms
from desk_seat import Seat
from desk_twins import DAY_US, GROUND, START_US, Department
from sqlalchemy import select, update

from storage.checkpoint import NoteKey
from storage.times import iso_text
from sync.department.content import followed_log
from sync.department.content.followed_log import DATABASE, FollowedLog
from sync.department.content.followed_state import WORDED_KINDS
from sync.department.desk import snapshot
from sync.department.desk.holds.calls import AskReleaseForm
from sync.department.desk.inquiry.forms import AskForm, DisputeForm, RequestForm, RunForm
from sync.department.journal.access_log import origin_of
from sync.department.journal.change_entries import DesignationSet, DocumentSigned, ListSent
from sync.department.journal.entries import TrainingDone
from sync.department.journal.hold_entries import HoldReleased, ReleaseAsked
from sync.department.journal.machine_entries import UnitCodeIssued
from sync.department.journal.office_entries import GrantDelegated, GrantIssued
from sync.department.journal.plain_state import is_part
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role
from sync.department.store.opening import open_store
from sync.department.store.tables import documents
from sync.department.units import list_seal

EARLIER = frozenset(
    one.KIND
    for one in (
        *(TrainingDone, ReleaseAsked, HoldReleased, DocumentSigned, DesignationSet, ListSent),
        *(GrantIssued, GrantDelegated, UnitCodeIssued),
    )
)
"""Kinds that an earlier version kept as they were, with the form that their person signed."""
Tokens = Callable[[str], str]
COVERT, LISTED, LONG, ALERTED, SEARCHED = "4QPL771", "6RTM552", "5ZZK904", "7XKR219", "8XYZ123"
WILD, TYPED = "9WLD4*", "3TYP118"
WORDS = ("--purpose", "investigation", "--case", "26-001234", "--why", f"the owner of {TYPED} ran")
SINCE, UNTIL = (iso_text(START_US + days * DAY_US)[:10] for days in (-5, 0))
PERIOD = ("--plate", SEARCHED, "--since", SINCE, "--until", UNTIL)
FORGETTING = {"once", "used", "opened", "holding", "judged", "spent", "given", "made", "waiting", "proposed"}
PLATES = (COVERT, LISTED, LONG, ALERTED, SEARCHED, WILD[:-1], TYPED, "7ABC001")


def lists_go_out(department: Department) -> None:
    """Send a short list, whose file is in the signed call, a long one, a covert entry and a withdrawn one."""
    made = forms(department)

    def by_two(name: str, form: Any) -> Any:
        return department.two_hands(name, department.logon("super"), form, second="chief")

    by_two("hotlist/push", replace(made["hotlist/push"], body=f"Stolen;CA;{LISTED};;\n".encode()))
    lines = "".join(f"Stolen;CA;7ABC{number:03};;\n" for number in range(300))
    by_two("hotlist/push", replace(made["hotlist/push"], body=f"{lines}Stolen;CA;{LONG};;\n".encode()))
    lines += f"Stolen;CA;{ALERTED};;\n"  # an alert of a removed entry is recalled
    by_two("hotlist/push", replace(made["hotlist/push"], body=f"{lines}Stolen;CA;{LISTED};;\n".encode()))
    covert = replace(made["hotlist/add"], plate=COVERT, recipients=("comm1",), case="26-009999")
    by_two("hotlist/add", covert)
    by_two("hotlist/add", made["hotlist/add"])
    department.call("hotlist/withdraw", department.logon("super"), made["hotlist/withdraw"])


def searches_are_made(department: Department, tokens: Tokens, seat: Seat, media: Path) -> None:
    """Search for another person, with wildcards, and with a picture; one is refused, one is disputed."""
    call, made, query = department.call, forms(department), department.plate(SEARCHED)
    asked: Any = call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    call("inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND, request=asked.entry))
    call("inquiry/answer", tokens("officer1"), RequestForm(request=asked.entry))
    wild = replace(query, plate=WILD)
    waiting: Any = call("inquiry/propose", tokens("comm1"), replace(made["inquiry/propose"], query=wild))
    call("inquiry/approve", tokens("super"), replace(made["inquiry/approve"], proposal=waiting.entry))
    call("inquiry/run", tokens("comm1"), RunForm(query=wild, ground=GROUND, proposal=waiting.entry))
    found = seat.json("comm1", "inquiry", "run", *PERIOD, *WORDS)
    view = ("inquiry", "image", found["reads"][0]["read"], "--access", found["access"], *WORDS)
    seat.json("comm1", *view, "--out", media / "images")
    with pytest.raises(DeskRefusal):
        call("inquiry/run", tokens("vendor1"), RunForm(query=replace(query, plate=TYPED), ground=GROUND))
    call("inquiry/dispute", tokens("officer1"), DisputeForm(entry=asked.entry, reason=f"{TYPED} is mine"))


def content_leaves(department: Department, seat: Seat, car: Car, media: Path) -> None:
    """Close a wrong alert, take a hold from its placing to its release, deliver to another agency."""
    car.raises(ALERTED)
    number = seat.json("comm1", "alert", "list")["alert"]
    seat.json("comm1", "alert", "show", number, "--out", media / "alert")
    seat.json("comm1", "alert", "transcribe", number, "--plate", TYPED, "--state", "US-CA")
    seat.json("comm1", "alert", "answer", number, "--fits", "no")
    hold = department.held(department.logon("super"), department.reads[10:11])
    seat.json("super", "hold", "export", hold, "--out", media / "held.zip", *WORDS)
    evidence = AskReleaseForm(hold=hold, evidence_item="E-26-1")
    for user, name in (("super", "hold/book"), ("super", "hold/ask-release"), ("chief", "hold/release")):
        department.call(name, department.logon(user), evidence)
    letter = media / "letter.pdf"
    letter.write_bytes(f"%PDF Dear Chief, about {SEARCHED}".encode())
    agency = ("--agency", "Pasadena PD", "--person", "Sgt. B", "--intended", "robbery", "--number", "PA-77")
    kind = ("--kind", "law-enforcement", "--state", "CA")
    share = seat.json("super", "share", "record", "--letter", letter, *agency, *kind, *PERIOD)["entry"]
    seat.json("chief", "share", "review", share, "--note", "letter is complete")
    seat.json("deputy", "share", "approve", share, *kind, "--note", "in order")
    seat.json("super", "share", "deliver", share, "--out", media / "pasadena.zip", *PERIOD, *WORDS)


def office_work(department: Department, tokens: Tokens) -> None:
    """Enter what else people enter, also as free text; and run what the system writes about all that."""
    call, made = department.call, forms(department)
    call("redress/enter", tokens("chief"), replace(made["redress/enter"], words=f"You stopped {TYPED}"))
    danger = replace(
        made["inquiry/break-glass"],
        query=replace(department.plate(TYPED), since_us=department.clock.us - DAY_US),
    )
    access: Any = call("inquiry/break-glass", tokens("disp1"), danger)
    call("inquiry/judge", tokens("super"), replace(made["inquiry/judge"], access=access.access))
    call("audit/compare", tokens("super"), made["audit/compare"])
    call("audit/run", tokens("super"), made["audit/run"])
    for name in ("grant/lend", "grant/issue", "grant/revoke"):
        department.two_hands(name, tokens("chief"), made[name])
    department.two_hands("unit/enroll", tokens("super"), made["unit/enroll"], second="chief")
    department.add_person(tokens("chief"), "deputy2", (Role.DESIGNEE,))
    department.desk.refresh()
    snapshot.write(department.desk.log, department.desk.book)
    call("retention/purge", tokens("super"), made["retention/purge"])


def a_days_work(department: Department, tokens: Tokens, car: Car, seat: Seat, media: Path) -> None:
    """Do a day's work with plates in forms, files and free text."""
    media.mkdir()  # exports are in the clear, for the court and the requester
    lists_go_out(department)
    searches_are_made(department, tokens, seat, media)
    content_leaves(department, seat, car, media)
    office_work(department, tokens)


def test_after_a_days_work_no_file_of_the_department_holds_a_plate_in_clear(
    department: Department, tokens: Tokens, car: Car, seat: Seat, tmp_path: Path
) -> None:
    a_days_work(department, tokens, car, seat, tmp_path.parent / f"{tmp_path.name}-media")
    assert found_in(tmp_path, PLATES) == []
    department.close()
    assert found_in(tmp_path, PLATES) == []


def differing(kept: Any, held: Any, where: str = "") -> list[str]:
    """Where two states differ. A kept state may still have entries that are over and no longer used."""
    found: list[str] = []
    for one in fields(kept):
        ours, theirs = getattr(kept, one.name), getattr(held, one.name)
        name = f"{where}.{one.name}"
        if is_part(type(theirs)):
            found += differing(ours, theirs, name)
        elif one.name in FORGETTING and isinstance(theirs, dict):
            found += (
                []
                if ours | theirs == ours and list(ours)[len(ours) - len(theirs) :] == list(theirs)
                else [name]
            )
        elif ours != theirs:
            found.append(name)
    return found


def test_the_key_service_judges_after_a_restart_by_the_same_as_before(
    department: Department, tokens: Tokens, car: Car, seat: Seat, tmp_path: Path
) -> None:
    """Of each kind of entry, only its effect is kept, and that is all that it changed."""
    a_days_work(department, tokens, car, seat, tmp_path.parent / f"{tmp_path.name}-media")
    log, kinds = department.desk.log, set[str]()
    key = NoteKey(origin_of(log.log_id), log.public)
    followed = FollowedLog(tmp_path / "keys", key, log.log_id)
    for size in range(1, log.size() + 1):
        followed.follow(log.part(size - 1, size), lambda _first, _last: {})
        kinds.add(kind := log.entry(size - 1).note.KIND)
        if kind not in WORDED_KINDS:
            continue
        again = FollowedLog(tmp_path / "keys", key, log.log_id)
        with again._loaded() as kept:
            assert differing(kept, followed._held) == [], log.entry(size - 1)
        again.close()
    followed.close()
    assert kinds >= EARLIER
    assert len(kinds & WORDED_KINDS) > 30


@pytest.mark.parametrize("every", [5, 10_000], ids=["in free pages", "in rows"])
def test_what_an_earlier_version_kept_in_clear_is_wiped_and_nothing_is_followed_again(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    lists_go_out(department)
    log, folder = department.desk.log, tmp_path / "keys"
    key = NoteKey(origin_of(log.log_id), log.public)
    with monkeypatch.context() as earlier:
        earlier.setattr(followed_log, "WORDED_KINDS", WORDED_KINDS - EARLIER)
        earlier.setattr(followed_log, "SNAPSHOT_EVERY", every)
        followed = FollowedLog(folder, key, log.log_id)
        followed._db.execute("PRAGMA secure_delete=OFF")
        for start in range(0, log.size(), 3):
            followed.follow(log.part(start, min(start + 3, log.size())), lambda _first, _last: {})
        followed._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        followed._db.execute("PRAGMA user_version=0")
        before, head = followed._held, followed.head()
        followed.close()
    assert found_in(folder, PLATES) == [DATABASE]
    again = FollowedLog(folder, key, log.log_id)
    assert found_in(folder, PLATES) == []
    assert again.head() == head
    assert differing(again._held, before) == []
    again.close()
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


def test_lists_that_an_earlier_version_offered_in_clear_are_sealed_and_go_out_as_they_were_signed(
    department: Department, tmp_path: Path
) -> None:
    lists_go_out(department)
    store = open_store(department.home.database_url)
    signed = list_seal.unsealing(department.home)
    rows = {}
    with store.write() as connection:
        for name, stored in connection.execute(select(documents.c.name, documents.c.message)).all():
            rows[name] = signed(name, bytes(stored))
            connection.execute(update(documents).where(documents.c.name == name).values(message=rows[name]))
    store.shrink()
    assert [Path(one).name for one in found_in(tmp_path, PLATES)] == ["store.db"]
    assert list_seal.seal_stored(department.home, store) == 5
    assert list_seal.seal_stored(department.home, store) == 0
    assert found_in(tmp_path, PLATES) == []
    with store.read() as connection:
        for name, stored in connection.execute(select(documents.c.name, documents.c.message)):
            assert signed(name, bytes(stored)) == rows[name]
    store.close()
