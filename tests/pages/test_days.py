"""Each role's day through the pages, scripts off, from the login to the entries in the log."""

from __future__ import annotations

from collections.abc import Callable

import pyotp
from desk_cars import Car
from desk_root import problems
from desk_twins import PASSWORD, Department
from page_reader import WHY, Reader, Sheet

from storage.alert_life import AlertAnswer, AlertEvent
from sync.department.journal.change_entries import GlassBroken, GlassJudged
from sync.department.journal.entries import Disputed, Entry
from sync.department.journal.inquiry_entries import Access, SearchApproved

Browser = Callable[[], Reader]


def seen_in_log(department: Department, kind: type) -> list[Entry]:
    """The entries of one kind."""
    return [one for one in department.desk.log.entries() if isinstance(one.note, kind)]


def numbered(sheet: Sheet, start: str) -> str:
    """The action of the page's form that begins like this."""
    return next(action for action, _ in sheet.forms if action.startswith(start))


def test_a_dispatcher_searches_and_opens_one_picture(department: Department, reader: Browser) -> None:
    one = reader()
    assert "Nothing waits for you" in one.logon("disp1").text
    found = one.send(one.get("/search"), "/search", **WHY, plate="8xyz 123")
    assert found.status == 200
    assert "3 reads" in found.text
    assert "Verify before acting" in found.text
    times = [text for text in found.text.split() if text.startswith("2026-09-")]
    assert times.index("2026-09-20") < times.index("2026-09-18")  # the newest first, in local time
    opened = one.send(found, f"{found.path}/picture", row="0")
    assert opened.path == found.path
    shown = [name for name in department.reads if f"<code>{name}</code>" in found.html]
    assert len(shown) == 3  # one per read that was found, opened or not
    image = one.ask("GET", f"{found.path}/picture/0/patch")
    assert image.headers["content-type"] in {"image/jpeg", "image/png"}
    assert image.headers["cache-control"] == "no-store"
    assert one.ask("GET", f"{found.path}/picture/1/patch").status_code == 422  # it was not opened
    again = one.get("/search").form("/search")
    assert {name: again[name] for name in WHY} == WHY  # kept for the case's next lookup
    assert one.get("/search?fresh").form("/search")["number"] == ""
    actions = [one.note.action for one in seen_in_log(department, Access)]  # type: ignore[attr-defined]
    assert actions == ["search", "image"]


def test_a_part_of_a_plate_takes_a_second_person(department: Department, reader: Browser) -> None:
    one, second = reader(), reader()
    one.logon("disp1")
    asked = WHY | {"plate": "8XYZ*", "range": "7"}
    alone = one.send(one.get("/search"), "/search", **asked)
    assert alone.status == 409
    assert alone.form("/search")["plate"] == "8XYZ*"
    estimate = one.send(alone, "/search", **{"do": "estimate"})
    assert "This search would look at" in estimate.text
    assert estimate.form("/search")["plate"] == "8XYZ*"
    proposal = one.send(estimate, "/search", **{"do": "propose"})
    early = one.send(proposal, proposal.path)
    assert early.status == 409
    assert "waiting" in one.get("/queue").html.split('id="mine"')[1]
    home = second.logon("super")
    assert "proposes a search without a full plate" in home.text
    queue = second.get("/queue")
    action = numbered(queue, "/queue/")
    silent = second.send(queue, action, **{"do": "approve"})
    assert silent.status == 422  # a reason is needed
    done = second.send(silent, action, **{"do": "approve", "reason": "the case is mine too"})
    assert "approved" in done.text
    assert 'id="mine"' not in second.get("/queue").html
    later = reader()  # the proposal's browser was closed: home leads back to it
    told = later.logon("disp1")
    assert "Your search under 26-001234 was approved: run it" in told.text
    assert f'href="{proposal.path}"' in told.html
    found = later.send(later.get(proposal.path), proposal.path)
    assert "3 reads" in found.text
    assert "was approved" not in later.get("/").text
    assert ">run<" in later.get("/queue").html.split('id="mine"')[1]
    assert len(seen_in_log(department, SearchApproved)) == 1


def test_an_officer_asks_and_sees_answer_and_picture(department: Department, reader: Browser) -> None:
    officer, dispatcher = reader(), reader()
    officer.logon("officer1")
    assert officer.get("/search").status == 403
    asked = officer.send(officer.get("/ask"), "/ask", **WHY, plate="8XYZ123")
    assert "is in the queue" in asked.text
    home = dispatcher.logon("disp1")
    assert "officer1 asks for a search under 26-001234" in home.text
    queue = dispatcher.get("/queue")
    ran = dispatcher.send(queue, numbered(queue, "/queue/"), **{"do": "run"})
    assert "3 reads" in ran.text
    page = officer.get("/ask")
    answer = officer.send(page, numbered(page, "/ask/"))
    assert "3 reads" in answer.text
    opened = officer.send(answer, f"{answer.path}/picture", row="2")
    assert "Does it show 8XYZ123" in opened.text
    mine = officer.get("/mine")
    assert "8XYZ123" in mine.text
    refused = officer.send(mine, "/mine", reason="not me\u202e at all, I was on leave")
    assert refused.status == 422
    assert refused.html.count('value="not me\u202e at all, I was on leave"') == 1  # in its own row
    disputed = officer.send(refused, "/mine", reason="that was not me at all")
    assert "is disputed" in disputed.text
    assert len(seen_in_log(department, Disputed)) == 1


def test_a_declined_request_says_why(reader: Browser) -> None:
    officer, dispatcher = reader(), reader()
    officer.logon("officer1")
    officer.send(officer.get("/ask"), "/ask", **WHY, plate="8XYZ123")
    dispatcher.logon("disp1")
    queue = dispatcher.get("/queue")
    path = numbered(queue, "/queue/")
    vague = {"do": "decline", "reason": "-", "row": path.rpartition("/")[2]}  # as in this row's second form
    queue = dispatcher.send(queue, path, **vague)
    assert 'value="-" aria-label="Why request' in queue.html
    dispatcher.send(queue, numbered(queue, "/queue/"), **{"do": "decline", "reason": "name the street"})
    assert "name the street" in officer.get("/ask").text


def test_an_alert_is_read_before_its_entry_is_shown(department: Department, reader: Browser) -> None:
    car = Car(department)
    number_before = len(department.desk.book.alerts.rows)
    car.raises()
    one = reader()
    home = one.logon("disp1")
    assert "Next: look at the image" in home.text
    listed = one.get("/alerts")
    path = f"/alerts/{department.desk.book.alerts.open()[number_before].number}"
    assert path in listed.html
    page = one.get(path)
    for hidden in ("7XKR219", "KIA", "26-1042"):
        assert hidden not in page.html
    early = one.send(page, path, **{"do": "transcribe", "plate": "7XKR219", "state": "CA"})
    assert early.status == 403
    looked = one.send(page, path, **{"do": "show"})
    for hidden in ("7XKR219", "KIA", "26-1042"):
        assert hidden not in looked.html
    assert one.ask("GET", f"{path}/patch").status_code == 200
    compared = one.send(looked, path, **{"do": "transcribe", "plate": "7xkr219", "state": "ca"})
    assert "Every character agrees" in compared.text
    assert "KIA" in compared.text
    confirmed = one.send(compared, path, **{"fit": "yes"})
    assert "Confirmed by a look at the picture" in confirmed.text
    clets = {"do": "clets", "practicable": "yes"}
    vague = one.send(confirmed, path, **clets, text="- ...")
    assert vague.status == 403
    assert "at least 3 letters or digits" in vague.text
    mistyped = one.send(vague, path, **clets, text="CLETS 0024")
    assert "Next outcome" in mistyped.text
    assert "CLETS: the reference CLETS 0024. If that is mistyped, enter it again" in mistyped.text
    checked = one.send(mistyped, path, **clets, text="CLETS 0042")
    assert "Next outcome" in checked.text
    ended = one.send(checked, path, **{"do": "close", "outcome": "stop", "outcome_text": "stopped on Myrtle"})
    assert (ended.path, ended.status) == ("/alerts", 200)
    assert "No alert is open" in ended.text
    (row,) = department.desk.book.alerts.rows.values()
    assert row.state.answer is AlertAnswer.CONFIRMED
    assert row.state.closed
    asked = row.state.last(AlertEvent.CLETS)
    assert asked is not None
    assert asked.text == "CLETS 0042"
    car.unit.close()
    assert problems(department) == ()


def test_a_misread_alert_is_rejected_by_what_was_typed(department: Department, reader: Browser) -> None:
    car = Car(department)
    car.raises()
    one = reader()
    one.logon("disp1")
    one.get("/alerts")
    path = f"/alerts/{department.desk.book.alerts.open()[0].number}"
    looked = one.send(one.get(path), path, **{"do": "show"})
    compared = one.send(looked, path, **{"do": "transcribe", "plate": "7XKR279", "state": "CA"})
    assert "1 of 7 characters differ" in compared.text
    rejected = one.send(compared, path, **{"fit": "yes"})
    assert "Do not act on this alert" in rejected.text
    assert department.desk.book.alerts.open()[0].state.answer is AlertAnswer.WRONG_CHARACTER
    car.unit.close()


def test_an_emergency_runs_at_once_and_is_judged(department: Department, reader: Browser) -> None:
    one, second = reader(), reader()
    one.logon("disp1")
    page = one.get("/emergency")
    assert "last 7 days" in page.text
    assert "last 30 days" not in page.text  # that is longer than the policy allows
    asked = WHY | {"plate": "8XY*", "number": "CAD-2611-0042"}
    vague = one.send(page, "/emergency", **asked | {"danger": "x"})
    assert vague.status == 422
    assert vague.form("/emergency")["plate"] == "8XY*"
    found = one.send(vague, "/emergency", danger="a child in the car of the kidnapper")
    assert found.status == 200
    assert "waits for a second person" in found.text
    assert "Emergency search of disp1" in second.logon("super").text
    waiting = second.get("/emergencies")
    for words in ("a child in the car of the kidnapper", WHY["justification"], "plate 8XY*"):
        assert words in waiting.text  # all that the dispatcher gave as the reason
    judged = second.send(waiting, "/emergencies", justified="yes", reason="call 0042 reports it")
    assert "is judged" in judged.text
    assert len(seen_in_log(department, GlassBroken)) == len(seen_in_log(department, GlassJudged)) == 1


def test_an_answer_that_no_witness_saw_is_marked_on_its_page(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("disp1")
    assert "Witness: signed" in one.get("/search").text
    department.witness.away = True
    found = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    assert "Not witnessed." in found.text
    assert "Witness: away for 0 of 15 minutes" in found.text
    department.clock.step(16 * 60 * 1_000_000)
    refused = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    assert refused.status == 409
    assert "<td>car-7" not in refused.html
    assert "3 reads" not in refused.text
    assert refused.form("/search")["plate"] == "8XYZ123"
    department.witness.away = False
    again = one.send(refused, "/search")
    assert "Not witnessed." not in again.text
    assert "3 reads" in again.text


def test_the_stream_of_alerts_asks_what_the_list_asks(reader: Browser) -> None:
    stranger, vendor = reader(), reader()
    assert stranger.ask("GET", "/alerts/events").status_code == 401
    vendor.logon("vendor1")
    assert vendor.ask("GET", "/alerts/events").status_code == 403


def test_a_password_change_keeps_the_authenticator(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("disp1")
    fresh = {"old": PASSWORD, "new": "quite another sentence", "again": "quite another sentence"}
    asked = one.get("/account/password")
    assert "makes a new authenticator too" not in asked.text
    assert "New phone" in asked.text
    two_ways = one.send(asked, "/account/password", **fresh | {"again": "other"})
    assert two_ways.status == 422
    done = one.send(two_ways, "/account/password", **fresh)
    assert "The authenticator is unchanged" in done.text
    department.secrets["disp1"] = (fresh["new"], department.secrets["disp1"][1])
    assert reader().logon("disp1").path == "/"


def test_a_first_password_opens_its_own_change_alone(department: Department, reader: Browser) -> None:
    from desk_twins import secret_of

    from sync.department.desk.people.calls import CredentialForm, HandedOver
    from sync.department.desk.people.new_secrets import NewSecrets

    chief = department.logon("chief")
    given = department.two_hands("user/credential", chief, CredentialForm(user="officer1", reason="lost"))
    assert isinstance(given, HandedOver)
    department.secrets["officer1"] = (given.password, secret_of(given))
    one = reader()
    page = one.logon("officer1")
    assert page.path == "/account/password"
    assert "This change makes a new authenticator too" in page.text  # before anything is done
    assert "New phone" not in page.text
    closed = one.get("/ask")
    assert closed.status == 409
    assert "made by another person" in closed.text
    fresh = {"old": given.password, "new": "quite another sentence", "again": "quite another sentence"}
    assert "<svg" in page.html
    department.desk.new_secrets = NewSecrets()  # as after a restart
    page = one.send(page, "/account/password", **fresh, new_code="000000")
    assert "o new authenticator waits for a code" in page.text
    assert "<svg" in page.html
    secret = next(word for word in page.text.split() if len(word) == 32)
    unscanned = one.send(page, "/account/password", **fresh, new_code="000000")
    assert unscanned.status == 422
    assert "not a code of the new authenticator" in unscanned.text
    assert "000000" not in unscanned.html
    for _ in range(5):  # a form that comes back makes no other one: the scanned picture stays valid
        assert ("<svg" in unscanned.html, "still waits" in unscanned.text) == (False, True)
        unscanned = one.send(unscanned, "/account/password", **fresh | {"again": "other"}, new_code="000000")
    code = pyotp.TOTP(secret).at(department.clock.us // 1_000_000)
    changed = one.send(unscanned, "/account/password", **fresh, new_code=f"{code[:3]} {code[3:]}")
    assert "Log in again" in changed.text
    assert one.get("/ask").status == 401  # that session could sign nothing
    department.clock.step(31_000_000)
    code = pyotp.TOTP(secret).at(department.clock.us // 1_000_000)
    fields = {"user": "officer1", "password": fresh["new"], "code": code}
    assert reader().post("/logon", fields).path == "/"


def test_an_untrained_officer_sees_once_what_to_do(department: Department, reader: Browser) -> None:
    department.clock.step(400 * 24 * 3600 * 1_000_000)
    for user in ("disp1",):
        department.renew_password(user)
    one = reader()
    home = one.logon("disp1")
    assert home.text.count("463.9") == 1
    assert one.get("/search").status == 403
