"""The office's days through the pages, scripts off: sharing, evidence, audit, redress, retention."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import pytest
from desk_twins import Department
from office_pages import entered, form_of, typed, upload
from page_reader import WHY, Reader
from sqlalchemy import insert, select, update

from storage.times import DAY_US
from sync.department.content import package
from sync.department.desk.transparency import bundle
from sync.department.journal.entries import FindingClosed
from sync.department.journal.hold_entries import HoldReleased
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import ShareDecided, ShareDelivered
from sync.department.store import unit_logs
from sync.department.store.opening import open_store
from sync.department.store.tables import certificates, destructions, logs

Browser = Callable[[], Reader]


def test_a_letter_that_is_uploaded_is_never_in_a_temporary_file(
    department: Department, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names plates, and a letter over a megabyte would be in the machine's temporary folder, in clear,
    before its size is refused."""
    clerk, letter = reader(), b"%PDF-1.7 about 8XYZ123 " * 50_000
    clerk.logon("super")
    fields = form_of(clerk.get("/sharing"), "share/record") | {
        "agency": "Los Angeles County Sheriff's Department",
        "agency_kind": "law-enforcement",
        "state": "CA",
        "person": "Det. Ruiz",
        "purpose": "homicide of May 4",
        "number": "H-26-1",
        "scope.plates": "8XYZ123",
        "scope.since_us": typed(department, -8),
        "scope.until_us": typed(department, 0),
    }

    def written(_file: object) -> None:
        raise AssertionError("a temporary file on the disk")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", written)
    refused = upload(clerk, "/sharing", fields, letter=("letter.pdf", letter))
    assert "No request was entered" in refused.text
    assert "cannot answer" not in refused.text, refused.text


def test_a_written_request_is_entered_reviewed_approved_and_delivered(
    department: Department, reader: Browser
) -> None:
    clerk, deputy = reader(), reader()
    clerk.logon("super")
    page = clerk.get("/sharing")
    fields = form_of(page, "share/record") | {
        "agency": "Los Angeles County Sheriff's Department",
        "agency_kind": "law-enforcement",
        "state": "CA",
        "person": "Det. Ruiz",
        "purpose": "homicide of May 4",
        "number": "H-26-1",
        "scope.plates": "8XYZ123\n7ABC001",
        "scope.since_us": typed(department, -8),
        "scope.until_us": typed(department, 0),
    }
    refused = upload(clerk, "/sharing", fields | {"person": ""}, letter=("letter.pdf", b"%PDF-1.7 please"))
    assert refused.status == 422
    assert "H-26-1" in refused.html  # what was typed stays
    done = upload(clerk, "/sharing", fields, letter=("letter.pdf", b"%PDF-1.7 please"))
    assert "waits for review" in done.text, done.text
    deputy.logon("deputy")
    listed = deputy.get("/sharing")
    (opened,) = (given["href"] for tag, given in listed.tags if given.get("href", "").startswith("/sharing/"))
    assert f'href="{opened}"' in deputy.get("/").html  # what waits leads there too
    page = deputy.get(opened)
    for words in ("Plates 8XYZ123, 7ABC001", fields["scope.since_us"].replace("T", " "), "without images"):
        assert words in page.text  # what would leave, before anyone agrees to it
        assert words not in listed.text
    number = form_of(page, "share/review")["request"]
    letter = deputy.ask("GET", f"/sharing/{number}/letter")
    assert letter.content == b"%PDF-1.7 please"
    assert letter.headers["content-disposition"].startswith("attachment")
    page = deputy.post(opened, form_of(page, "share/review") | {"note": "read it, official purpose"})
    assert page.path == opened
    decision = form_of(page, "share/decide") | {"approved": "yes", "note": "approved"}
    blind = deputy.post(opened, decision | {"agency_kind": "law-enforcement"})
    assert "give the agency's state" in blind.text
    assert "Plates 8XYZ123, 7ABC001" in blind.text
    assert entered(department, ShareDecided) == 0
    page = deputy.post(opened, decision | {"agency_kind": "law-enforcement", "agency_state": "CA"})
    assert entered(department, ShareDecided) == 1
    page = clerk.get(f"/sharing/{number}/deliver")
    sent = form_of(page, "share/deliver") | WHY
    answer = clerk.file(page.path, sent)
    assert answer.headers["content-type"] == "application/zip", answer.text[:600]
    assert len(package.check(answer.content, department.desk.log.public).head.reads) >= 1
    assert entered(department, ShareDelivered) == 1
    assert "After the download: hand the package" in page.text
    assert "is made, entry" in clerk.get("/sharing").text


def test_evidence_is_held_exported_booked_and_released_by_two(
    department: Department, reader: Browser
) -> None:
    one, chief = reader(), reader()
    one.logon("super")
    found = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    access = found.path.rpartition("/")[2]
    read = department.reads[-1]
    page = one.get(f"/holds/new?read={read}&access={access}")
    fields = form_of(page, "hold/place")
    assert (fields["accesses"], fields["number"], fields["own.number"]) == (access, "26-001234", "")
    (another,) = (given["href"] for tag, given in page.tags if given.get("href", "").endswith("&fresh=yes"))
    afresh = form_of(one.get(another), "hold/place", path="/holds/new")
    assert (afresh["reads"], afresh["accesses"], afresh["number"]) == (read, access, "")
    held = one.post(
        "/holds/new",
        fields
        | {
            "hold_ground": "discovery",
            "authority": "Superior Court",
            "own.number": "26-CV-815",
            "reads": read,
        },
    )
    assert "Hold" in held.text
    assert held.path == "/holds", held.text[:500]
    number = next(iter(department.desk.book.holds.placed))
    page = one.get(f"/holds/{number}/export")
    answer = one.file(page.path, form_of(page, "hold/export") | WHY | {"medium": "USB 7"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert "cover.html" in archive.namelist()
    assert "After the download: copy the package to the medium, and book" in page.text
    page = one.get("/holds")
    assert f"Hold {number} is exported. Next: book the medium into evidence." in page.text
    assert "is exported." not in one.get("/holds").text  # said once
    page = one.post("/holds", form_of(page, "hold/book") | {"evidence_item": "E-26-0042"})
    assert "E-26-0042" in page.text
    page = one.post("/holds", form_of(page, "hold/ask-release") | {"evidence_item": "E-26-0042"})
    assert 'value="hold/release"' not in page.html  # another person placed it
    chief.logon("chief")
    page = chief.get("/holds")
    theirs = form_of(page, "hold/release") | {
        "evidence_item": "E-26-0042",
        "mark": form_of(one.get("/holds/new"), "hold/place")["mark"],
    }
    assert one.post("/holds", theirs).status == 403
    page = chief.post("/holds", form_of(page, "hold/release") | {"evidence_item": "E-26-0042"})
    assert "destroyed" in page.text
    assert entered(department, HoldReleased) == 1


def test_the_audit_is_run_charted_closed_and_bundled(department: Department, reader: Browser) -> None:
    one, reviewer = reader(), reader()
    one.logon("super")
    for _ in range(6):
        one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    page = one.get("/audit")
    assert 'role="img"' in page.html
    assert "Accesses by person: super" in page.html
    found = one.post("/audit", form_of(page, "audit/run"))
    assert "opened" in found.text
    table = one.get("/audit/requests?user=super")
    assert "8XYZ123" not in table.html.partition("<table")[0]
    csv = one.ask("GET", "/audit/requests.csv?user=super")
    assert csv.text.startswith("entry,")
    assert csv.text.count("\n") >= 7
    assert one.ask("GET", "/audit/requests.csv?user=chief").text.count("\n") == 1
    reviewer.logon("reviewer1")
    home = reviewer.get("/").html  # there the finding is some seconds old, whatever the reviewer's deadline
    assert re.search(r'class="age">\d+ s</span><span><a href="/findings"', home)
    page = reviewer.get("/findings")
    fields = form_of(page, "audit/close")
    assert "hit and run" in reviewer.get(f"/findings/{fields['finding']}").text
    short = reviewer.post("/findings", fields | {"verdict": "justified", "note": "fine"})
    assert short.status == 422
    assert "fine" in short.html
    page = reviewer.post("/findings", fields | {"verdict": "justified", "note": "the case file names it"})
    assert page.status == 200
    assert entered(department, FindingClosed) == 2  # one is from the founding
    page = reviewer.get("/audit")
    answer = reviewer.ask("POST", "/audit", form_of(page, "audit/bundle"), origin=reviewer.base)
    assert bundle.is_bundle(answer.content)


def test_a_stranger_asks_and_the_administrator_answers(department: Department, reader: Browser) -> None:
    stranger, chief = reader(), reader()
    page = stranger.get("/transparency")
    assert page.status == 200
    assert "1798.90.51" in page.text
    assert "ALPR shall only be used for official law enforcement business" in page.text
    assert "keep_days" not in page.text
    assert stranger.ask("GET", "/transparency/policy.toml").content == department.desk.policy_document
    fields = page.form("/transparency") | {"about": "stop", "contact": "j.doe@example.org"}
    short = stranger.post("/transparency", fields | {"words": "help"})
    assert short.status == 422
    told = fields | {"words": "I was stopped on Myrtle Avenue\non May 4"}
    taken = [stranger.post("/transparency", told) for _ in range(2)]  # sent twice, entered once
    assert "answers within 30 days" in taken[0].text
    assert taken[1].text == taken[0].text
    assert entered(department, RedressAsked) == 1
    chief.logon("chief")
    page = chief.get("/redress")
    assert "j.doe@example.org" in page.text
    sent = form_of(page, "redress/answer") | {"outcome": "corrected", "note": "list corrected, told by mail"}
    assert "Entered" in chief.post("/redress", sent).text
    assert entered(department, RedressAnswered) == 1


def test_days_that_go_and_units_that_are_silent_are_shown(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("super")
    page = one.get("/retention")
    assert "2026-09-18" in page.text
    assert "365 days" in page.text
    assert "car-7" in one.get("/units").text
    department.clock.step(3 * DAY_US)
    one.logon("super")
    page = one.get("/units")
    assert "car-7 see to it" in page.text


def test_a_unit_that_was_reset_is_sent_nothing_and_renews_no_certificate(
    department: Department, reader: Browser
) -> None:
    one, sent, ends = reader(), '<option value="car-7">', "unit certificate car-7"
    soon_us = department.clock.us + 9 * DAY_US
    store = open_store(department.home.database_url)
    try:
        with store.write() as connection:
            certificate = {"serial": "1", "unit_id": "car-7", "issued_us": 0, "expires_us": soon_us}
            connection.execute(insert(certificates).values(certificate))
        one.logon("super")
        assert sent in one.get("/units").html
        assert ends in one.get("/calendar").text
        with store.write() as connection:
            log = connection.execute(select(logs.c.log_no).where(logs.c.unit_id == "car-7")).scalar_one()
            connection.execute(update(logs).where(logs.c.log_no == log).values(state=unit_logs.CLOSED))
            last = {"log_no": log, "message": b"", "received_us": department.clock.us}
            connection.execute(insert(destructions).values(last))
    finally:
        store.close()
    page = one.get("/units")
    assert "car-7 see to it" in page.text
    assert sent not in page.html
    assert form_of(page, "unit/revoke")["unit"] == "car-7"
    assert ends not in one.get("/calendar").text


def test_a_request_on_paper_is_printed_by_anyone_and_entered_by_the_administrator(
    department: Department, reader: Browser
) -> None:
    form = reader().get("/redress/paper")
    assert form.status == 200
    for words in ("within 30 days", "How to answer you", "What happened", "Number of the request"):
        assert words in form.text
    chief = reader()
    chief.logon("chief")
    page = chief.get("/redress")
    sent = form_of(page, "redress/enter") | {
        "about": "stop",
        "contact": "415 S. Ivy Avenue",
        "words": "I was stopped on May 4",
        "received_us": typed(department, -12),
    }
    wrong = chief.post("/redress", sent | {"received_us": typed(department, 2)})
    assert wrong.status == 422
    assert form_of(wrong, "redress/enter")["contact"] == "415 S. Ivy Avenue"
    done = chief.post("/redress", sent)
    assert "answer it within 18 days" in done.text, done.text[:400]
    assert "415 S. Ivy Avenue" in done.text


@pytest.mark.parametrize("path", ["/holds/99999/export", "/sharing/99999/letter", "/findings/99999"])
def test_an_invalid_number_is_named(reader: Browser, path: str) -> None:
    one = reader()
    one.logon("super")
    page = one.get(path)
    if path.endswith("export"):
        page = one.post(path, form_of(page, "hold/export") | WHY | {"medium": "USB 1"})
    assert page.status == 422
    assert "there is no such" in page.text.lower()
