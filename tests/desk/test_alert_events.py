"""The stream of alerts is authenticated, bounded, prompt, resumable, ends with its session, has no plates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk_cars import PLATE, Car
from desk_forms import forms
from desk_server import serving
from desk_twins import PASSWORD, PEOPLE, Department
from starlette.applications import Starlette
from starlette.types import Message
from waiting import PATIENCE_S, until

from storage.alert_life import AlertEvent, AlertStep
from storage.times import DAY_US, MINUTE_US
from sync.department.desk.alerts.calls import AlertForm
from sync.department.desk.alerts.events import AlertEvents, AlertStream, EventStream
from sync.department.desk.api import routes
from sync.department.desk.documents.local import WithdrawForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.calls import AccountForm
from sync.department.journal.entries import LogRead, Refused
from sync.department.journal.inquiry_entries import Access
from sync.department.policy.refusals import DeskRefusal

Tokens = Callable[[str], str]
OF = ("state", "category", "reason", "make", "until_us", "requester", "approver")


def parsed(data: bytes) -> dict[str, Any]:
    """The fields of an event, with `data` parsed as JSON."""
    fields = dict(
        line.partition(": ")[::2] for line in data.decode().strip().splitlines() if not line.startswith(":")
    )
    return fields | ({"data": json.loads(fields["data"])} if "data" in fields else {})


async def told(stream: AsyncIterator[bytes], kind: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait for the next `count` events of a kind."""
    found: list[dict[str, Any]] = []

    async def wait() -> None:
        async for data in stream:
            one = parsed(data)
            if one.get("event") == kind:
                found.append(one)
                if len(found) == count:
                    return

    await asyncio.wait_for(wait(), PATIENCE_S)
    return found


def following(
    department: Department, token: str, work: Callable[[AlertStream], Awaitable[None]], last_id: str = ""
) -> None:
    """Follow the alerts and run `work` while the stream is open."""

    async def run() -> None:
        stream = await AlertEvents(department.front, heartbeat_s=0.05).follow(token, last_id)
        try:
            await work(stream)
        finally:
            await stream.aclose()
        assert len(department.front.watchers) == 0

    asyncio.run(run())


def test_an_alert_is_sent_with_number_state_and_counts_and_each_step_after_it(
    department: Department, tokens: Tokens, car: Car
) -> None:
    async def work(stream: AlertStream) -> None:
        (first,) = await told(stream, "counts")
        assert first["data"] == {"open": 0, "sounding": 0, "overdue": 0, "unopened": 0}
        car.raises()
        department.front.bell.ring()
        (raised,) = await told(stream, "alert")
        number = raised["data"]["alert"]
        assert raised["data"] == {
            "alert": number, "state": "raised", "sounded": True,
            "open": 1, "sounding": 1, "overdue": 0, "unopened": 0,
        }  # fmt: skip
        department.call("alert/show", tokens("comm1"), AlertForm(alert=number))
        (viewed,) = await told(stream, "alert")
        assert (viewed["data"]["alert"], viewed["data"]["state"]) == (number, "viewed")
        assert int(viewed["id"]) > int(raised["id"])

    tokens("comm1")
    following(department, tokens("disp1"), work)


def test_a_list_that_lacks_the_entry_of_an_open_alert_recalls_it_at_once_and_once(
    department: Department, tokens: Tokens, car: Car
) -> None:
    """Also for a follower that learns of it only from the log, because another process withdrew the entry."""
    form = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", tokens("super"), form, second="chief")
    (entry,) = department.front.list_entries("local")
    rung: list[int] = []

    async def work(stream: AlertStream) -> None:
        car.raises(
            entry.plate, list_id="local", case=form.case, **{name: getattr(entry, name) for name in OF}
        )
        car.raises("8ABC123")
        department.front.bell.ring()
        raised, other = await told(stream, "alert", 2)
        before = department.front.bell.count
        department.call("hotlist/withdraw", tokens("super"), WithdrawForm(case=form.case, reason="found"))
        rung.append(department.front.bell.count - before)
        (recalled,) = await told(stream, "alert")
        assert recalled["data"]["state"] == "recalled"
        assert recalled["data"]["alert"] == raised["data"]["alert"] != other["data"]["alert"]
        again = replace(form, case="26-009999", plate="9ZZZ999")
        department.two_hands("hotlist/add", tokens("super"), again, second="chief")
        department.call("alert/show", tokens("comm1"), AlertForm(alert=other["data"]["alert"]))
        (viewed,) = await told(stream, "alert")
        assert viewed["data"]["state"] == "viewed"

    async def later(stream: AlertStream) -> None:
        """An entry that was already gone is no news; one that is back is."""
        third = replace(form, case="26-008888", plate="9YYY888")
        department.two_hands("hotlist/add", tokens("super"), third, second="chief")
        department.two_hands("hotlist/add", tokens("super"), form, second="chief")
        (back,) = await told(stream, "alert")
        assert back["data"]["state"] == "listed"

    tokens("comm1")
    following(department, tokens("disp1"), work)
    assert rung == [1]
    following(department, tokens("comm1"), later)


def test_a_list_whose_offer_is_entered_before_it_is_in_place_recalls_once_it_is(
    department: Department, tokens: Tokens, car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", tokens("super"), form, second="chief")
    (entry,) = department.front.list_entries("local")
    real, sent = Path.replace, list[dict[str, Any]]()

    def late(path: Path, target: Path) -> Path:
        if path.suffix == ".sending":
            department.front.enter_sent()
            department.front.bell.ring()
            before = len(sent)
            until(lambda: len(sent) > before + 2)  # heartbeats, each after a check for news
        return real(path, target)

    async def work(stream: AlertStream) -> None:
        car.raises(
            entry.plate, list_id="local", case=form.case, **{name: getattr(entry, name) for name in OF}
        )
        department.front.bell.ring()
        await told(stream, "alert")
        monkeypatch.setattr(Path, "replace", late)
        ended = WithdrawForm(case=form.case, reason="found")
        withdrawn = asyncio.create_task(
            asyncio.to_thread(department.call, "hotlist/withdraw", tokens("super"), ended)
        )
        async with asyncio.timeout(PATIENCE_S):
            async for data in stream:
                sent.append(parsed(data))
                if sent[-1].get("event") == "alert":
                    break
        await withdrawn
        assert sent[-1]["data"]["state"] == "recalled"

    tokens("comm1")
    following(department, tokens("disp1"), work)


def test_no_event_says_more_than_number_state_sound_and_counts(
    department: Department, tokens: Tokens, car: Car
) -> None:
    allowed = {"alert", "state", "sounded", "open", "sounding", "overdue", "unopened"}
    seen = bytearray()

    async def work(stream: AlertStream) -> None:
        alert = car.raises(silent=("state",))
        car.steps(
            alert, AlertStep(step=AlertEvent.VIEWED, user="officer1", role="", at_us=department.clock.us)
        )
        department.front.bell.ring()
        wanted = 2
        async for data in stream:
            seen.extend(data)
            one = parsed(data)
            assert set(one.get("data", {})) <= allowed
            wanted -= one.get("event") == "alert"
            if not wanted:
                return

    following(department, tokens("disp1"), work)
    assert b'"sounded": false' in seen
    for secret in (PLATE, "KIA", "VICTIM", "26-1042", "car-8", "US-CA", "doj", "SVS"):
        assert secret.encode() not in seen


def test_what_happened_while_the_line_was_down_is_sent_once_from_the_last_id_on(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, last = tokens("disp1"), ""

    async def first(stream: AlertStream) -> None:
        nonlocal last
        (counts,) = await told(stream, "counts")
        last = counts["id"]

    async def after(stream: AlertStream) -> None:
        found = await told(stream, "alert", 2)
        assert [one["data"]["state"] for one in found] == ["raised", "raised"]
        assert [int(one["id"]) for one in found] == sorted({int(one["id"]) for one in found})

    following(department, token, first)
    car.raises()
    car.raises("8ABC123")
    following(department, token, after, last)
    everything = len([e for e in department.desk.log.entries() if e.note.KIND == "alert_known"])
    assert everything == 2


def test_following_keeps_no_session_open_and_ends_with_it(department: Department, tokens: Tokens) -> None:
    async def locked(stream: AlertStream) -> None:
        await told(stream, "counts")
        for _ in range(4):
            department.clock.step(10 * MINUTE_US)
            department.front.bell.ring()
            await asyncio.sleep(0.1)
        (end,) = await told(stream, "end")
        assert end["data"]["refused"] == "session-locked"
        assert [data async for data in stream] == []

    following(department, tokens("disp1"), locked)

    async def gone(stream: AlertStream) -> None:
        await told(stream, "counts")
        department.desk.logons.logoff(other)
        (end,) = await told(stream, "end")
        assert end["data"]["refused"] == "no-session"

    other = department.logon("comm1")
    following(department, other, gone)


def test_a_person_who_loses_the_training_or_the_account_gets_no_more_events(
    department: Department, tokens: Tokens
) -> None:
    token = department.logon("disp1", post=department.desk.policy.sessions.staffed_posts[0])

    async def work(stream: AlertStream) -> None:
        await told(stream, "counts")
        department.clock.step(400 * DAY_US)
        (end,) = await told(stream, "end")
        assert end["data"]["refused"] in {"session-over", "training-expired"}

    following(department, token, work)


@pytest.mark.parametrize("user", sorted(PEOPLE))
def test_only_roles_that_list_alerts_may_follow_them_and_the_log_has_both(
    department: Department, user: str
) -> None:
    may = {"super", "comm1", "disp1", "officer1", "analyst1", "chief"}
    policy = department.desk.policy
    roles = policy.effective_roles((PEOPLE[user],))
    allowed = any("alert.list" in {str(one) for one in policy.grants[role]} for role in roles)
    assert not allowed or user in may
    token, size = department.logon(user), department.desk.log.size()
    events = AlertEvents(department.front)

    async def run() -> None:
        stream = await events.follow(token)
        await stream.aclose()

    if allowed:
        asyncio.run(run())
        notes = [one.note for one in department.desk.log.entries(size)]
        assert [one for one in notes if isinstance(one, LogRead)]
    else:
        with pytest.raises(DeskRefusal) as refused:
            asyncio.run(run())
        assert refused.value.code == "role"
        notes = [one.note for one in department.desk.log.entries(size)]
        assert [one for one in notes if isinstance(one, Refused)]
        assert len(department.front.watchers) == 0


def test_the_opening_of_an_alert_is_an_access_of_one_who_follows_and_of_one_alone(
    department: Department, tokens: Tokens, car: Car
) -> None:
    first, second = tokens("disp1"), tokens("comm1")

    async def run() -> None:
        events = AlertEvents(department.front, heartbeat_s=0.05)
        streams = [await events.follow(one) for one in (first, second, second)]
        for stream in streams:
            await told(stream, "counts")
        alert = car.raises()
        department.front.bell.ring()
        found = await asyncio.gather(*(told(stream, "alert") for stream in streams))
        assert len({one["data"]["alert"] for (one,) in found}) == 1
        for stream in streams:
            await stream.aclose()
        accesses = [
            e
            for e in department.desk.log.entries()
            if isinstance(e.note, Access) and e.note.action == "alert"
        ]
        assert [one.note.reads for one in accesses if isinstance(one.note, Access)] == [(alert,)]
        assert accesses[0].stamp.user in {"disp1", "comm1"}

    asyncio.run(run())


def test_what_rings_for_others_neither_delays_nor_moves_the_heartbeat(
    department: Department, tokens: Tokens
) -> None:
    """Otherwise the heartbeat would betray the steps of a covert entry's alert."""

    async def work(stream: AlertStream) -> None:
        await told(stream, "counts")

        async def ring() -> None:
            while True:
                department.front.bell.ring()
                await asyncio.sleep(0.01)

        ringing = asyncio.create_task(ring())
        try:
            assert await asyncio.wait_for(anext(stream), PATIENCE_S) == b":\n\n"
        finally:
            ringing.cancel()

    following(department, tokens("disp1"), work)


def test_an_alert_that_cannot_be_opened_now_is_counted_and_sent_when_it_can(
    department: Department, tokens: Tokens, car: Car
) -> None:
    other = tokens("comm1")

    async def work(stream: AlertStream) -> None:
        await told(stream, "counts")
        department.witness.away = True
        department.call(
            "alert/list", other, NothingForm()
        )  # the first that the witness did not see: its grace period begins
        department.clock.step(16 * MINUTE_US)
        car.raises()
        department.front.bell.ring()
        (counts,) = await told(stream, "counts")
        assert counts["data"]["unopened"] == 1
        department.witness.away = False
        (raised,) = await told(stream, "alert")
        assert (raised["data"]["state"], raised["data"]["unopened"]) == ("raised", 0)

    following(department, tokens("disp1"), work)


def test_a_stream_that_resumes_where_its_session_left_makes_no_second_entry(
    department: Department, tokens: Tokens, car: Car
) -> None:
    def followed() -> list[int]:
        entries = department.desk.log.entries()
        return [
            e.sequence for e in entries if isinstance(e.note, LogRead) and e.note.elements == "alert events"
        ]

    async def run() -> None:
        events = AlertEvents(department.front, heartbeat_s=0.05)
        first = await events.follow(token)
        (counts,) = await told(first, "counts")
        await first.aclose()
        assert len(followed()) == 1
        car.raises()  # between two pages
        department.front.bell.ring()
        again = await events.follow(token, counts["id"])
        (raised,) = await told(again, "alert")
        assert raised["data"]["state"] == "raised"
        await again.aclose()
        assert len(followed()) == 1
        for who, last_id in ((token, str(followed()[0] - 1)), (token, ""), (other, raised["id"])):
            before = len(followed())  # from before, from now, in another session
            stream = await events.follow(who, last_id)
            await stream.aclose()
            assert len(followed()) == before + 1
        department.call("user/set", chief, gone)
        with pytest.raises(DeskRefusal):
            await events.follow(token, raised["id"])

    other, chief, token = tokens("comm1"), tokens("chief"), tokens("disp1")
    gone = AccountForm(
        user="disp1", name="Disp1", organisation="Monrovia PD", roles=(), active=False, reason="left"
    )
    asyncio.run(run())


def test_a_covert_alert_is_sent_to_its_recipients_alone(
    department: Department, tokens: Tokens, car: Car
) -> None:
    async def work(stream: AlertStream) -> None:
        car.raises(recipients=("super",))
        car.raises("8ABC123")
        department.front.bell.ring()
        (raised,) = await told(stream, "alert")
        assert raised["data"]["open"] == 1

    following(department, tokens("disp1"), work)


def test_a_reader_that_takes_nothing_is_dropped(department: Department, tokens: Tokens) -> None:
    async def run() -> None:
        stream = await AlertEvents(department.front, heartbeat_s=0.01).follow(tokens("disp1"))
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) > 2:
                await asyncio.sleep(3600)

        async def receive() -> Message:
            await asyncio.sleep(3600)
            raise AssertionError

        answer = EventStream(stream, send_s=0.05)
        with pytest.raises(ExceptionGroup) as error:
            await asyncio.wait_for(answer({"type": "http"}, receive, send), PATIENCE_S)
        assert error.group_contains(TimeoutError)
        assert len(department.front.watchers) == 0

    asyncio.run(run())


def test_a_stream_ends_when_the_server_does_and_when_the_client_leaves(
    department: Department, tokens: Tokens
) -> None:
    async def work(stream: AlertStream) -> None:
        await told(stream, "counts")
        department.front.bell.close()
        async with asyncio.timeout(PATIENCE_S):
            assert [data async for data in stream] == []

    async def run() -> None:
        stream = await AlertEvents(department.front).follow(tokens("disp1"))
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        await asyncio.wait_for(EventStream(stream)({"type": "http"}, receive, send), PATIENCE_S)
        assert sent[0]["status"] == 200
        assert len(department.front.watchers) == 0

    asyncio.run(run())
    following(department, tokens("disp1"), work)


def test_over_http_the_stream_comes_with_a_session_alone(department: Department, car: Car) -> None:
    department.clock.step(31_000_000)
    with serving(Starlette(routes=routes(department.front))) as client:
        for headers, status in (({}, 401), ({"authorization": "Bearer stolen"}, 401)):
            assert client.get("/desk/alert/events", headers=headers).status_code == status
        form = {"user": "disp1", "password": PASSWORD, "code": department.code("disp1")}
        token = client.post("/desk/session/logon", json=form).json()["token"]
        session = {"authorization": f"Bearer {token}"}
        bad = client.get("/desk/alert/events", headers=session | {"last-event-id": "../1"})
        assert (bad.status_code, bad.json()["refused"]) == (422, "form")
        with client.stream("GET", "/desk/alert/events", headers=session) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            car.raises()
            department.front.bell.ring()
            events = _lines(answer)
            assert next(one for one in events if one.startswith("event: alert")) == "event: alert"
            client.post("/desk/session/logoff", headers=session)
            assert next(one for one in events if one.startswith("event: end")) == "event: end"
            assert [one for one in events if one.startswith("event")] == []


def _lines(answer: httpx.Response) -> Iterator[str]:
    return (line for line in answer.iter_lines() if line)
