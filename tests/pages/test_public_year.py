"""The public page over a simulated year: each of its numbers equals what was entered."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from desk_forms import forms
from desk_twins import DAY_US, GROUND, Department
from page_reader import Reader

from storage.times import day_text
from sync.department.journal.change_entries import CasesCompared, DayCounted
from sync.department.journal.entries import FindingClosed, FindingOpened, Refused
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.hold_entries import Purged
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import ShareAsked, ShareDecided, ShareDelivered

Browser = Callable[[], Reader]
PURPOSES = ("investigation", "wanted-person", "enforcement", "crime-analysis")
AGENCIES = ("Agency A", "Agency B & <C>")


def enter(department: Department, notes: list[Note]) -> None:
    """Append unsigned entries, as in a log from before people had keys."""
    desk = department.desk
    desk.book.signers.ever.clear()
    stamp = Stamp(
        at_us=department.clock.us,
        user="comm1",
        role="dispatcher",
        organisation="Test",
        session=b"",
        demo=False,
    )
    for note in notes:
        desk.book.apply(desk.log.append(note, stamp, b""))


def year(department: Department) -> Counter[str]:
    """Enter a year, a week at a time, and count independently what was entered."""
    chance, said = random.Random(463), Counter[str]()
    asked = forms(department)["share/record"]
    base = department.desk.log.size()
    for week in range(52):
        department.clock.step(7 * DAY_US)
        notes: list[Note] = []
        for day in range(7):
            reads = chance.randrange(500)
            name = day_text(20_000 + week * 7 + day)
            notes.append(DayCounted(day=name, reads=reads))
            said["reads"] += reads
            said["days"] += 1
        for _ in range(chance.randrange(6)):
            purpose, action = chance.choice(PURPOSES), chance.choice(("search", "search", "image"))
            notes.append(
                Access(
                    action=action, elements="", plate="8XYZ123", ground=replace(GROUND, purpose=purpose),
                    on_behalf_of="", request=-1, approval=-1, reads=(),
                )
            )  # fmt: skip
            said[f"search {purpose}"] += action == "search"
        for _ in range(chance.randrange(3)):
            notes.append(Refused(call="inquiry.run", code="role", clause="463.5 (c)"))
            said["refused"] += 1
        gone = chance.randrange(300)
        day_name = day_text(19_000 + week)
        notes.append(
            Purged(day=day_name, reads=gone, elements=4, clause="463.8", purged_us=1, receipt=bytes(32))
        )
        said["purged"] += gone
        known = chance.randrange(5)
        notes.append(
            CasesCompared(from_us=0, to_us=1, accesses=5, known=known, unknown=(), users=(), source=b"")
        )
        said["compared"], said["known"] = said["compared"] + 5, said["known"] + known
        agency, number = chance.choice(AGENCIES), base + len(notes)
        scope = asked.scope
        notes += [
            ShareAsked(
                agency=agency, agency_kind="law-enforcement", state="CA", person="Det. Ruiz", purpose="p",
                number="H", letter=b"", letter_name="", scope=scope, agreement="",
            ),
            ShareDecided(request=number, approved=True, note="yes"),
            ShareDelivered(request=number, access=number, count=week, package=b""),
        ]  # fmt: skip
        said[f"reads to {agency}"] += week
        finding = base + len(notes)
        notes += [
            FindingOpened(
                detector="sample", about="comm1", accesses=(), reviewer="reviewer1", due_us=1, detail=""
            ),
            FindingClosed(finding=finding, verdict="justified", note="looked at it"),
        ]
        request = base + len(notes)
        notes.append(RedressAsked(about="stop", contact="me@example.org", words="was stopped here"))
        said["asked"] += 1
        if chance.random() < 0.5:
            notes.append(RedressAnswered(request=request, outcome="nothing-found", note="told by mail"))
            said["answered"] += 1
        enter(department, notes)
        base += len(notes)
    return said


def test_the_page_minus_the_log_is_nought(department: Department, reader: Browser) -> None:
    before = Counter(type(one.note).__name__ for one in department.desk.log.entries())
    said = year(department)
    department.desk.try_cover(department.desk.log.size() - 1)
    department.clock.step(7 * DAY_US)
    page = reader().get("/transparency")
    text = page.text
    refused = said["refused"] + before["Refused"]
    found = before["FindingOpened"] + 52, before["FindingClosed"] + 52
    for words in (
        f"Reads received {said['reads']:,} in {said['days']} days",
        f"Reads purged {said['purged']:,} in 52 days",
        f"{said['known'] / said['compared'] * 100:.1f} % of {said['compared']} compared",
        f"Calls refused {refused} Audits",
        f"sample {52}",
        f"justified {found[1]}",
        f"Requests from the public {said['asked']}, {said['answered']} answered",
        *(f"{one.replace('-', ' ')}: {said[f'search {one}']}" for one in PURPOSES),
    ):
        assert words in text, words
    for agency in AGENCIES:
        row = re.search(re.escape(agency) + r" (\d+) (\d+) 0 (\d+) (\d+)", text)
        assert row is not None, agency
        assert int(row[4]) == said[f"reads to {agency}"]
    programs = reader().ask("GET", "/desk/transparency.json").json()
    newest = department.front.public_counts.newest(department.desk)
    assert (programs["reads_received"], programs["entries"]) == (said["reads"], newest.entries)
    assert programs["checkpoint"] == newest.checkpoint
    assert newest.checkpoint.splitlines()[2] in page.text, "page and program are given the same counts"
    assert "8XYZ123" not in page.html
    assert "comm1" not in page.html
