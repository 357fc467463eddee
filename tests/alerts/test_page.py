"""A unit's alert page over real TLS: who is admitted, what is shown when, what a hostile client gets."""

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from alert_twins import entry
from car_page import UNIT, Car, post
from waiting import PATIENCE_S

from firmware.alerts.page_api import PageApi
from firmware.alerts.page_server import MAX_BODY, PageServer
from firmware.alerts.sessions import SHIFT_US, TICKET_US, subject_of
from firmware.custody.asking import proof_of
from storage import access, codec
from storage.audit_records import UnitAccess
from storage.envelope import decode, encode
from storage.roster import DEMO_PEOPLE
from storage.times import DAY_US
from sync.membership import SyncFolder, page_host

SECRETS = ("7XKR219", "KIA", "VICTIM", "26-1042")


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("listen", ["::1", "[::1]"])
def test_the_page_is_served_in_a_network_of_ipv6_alone_and_waits_for_no_name_server(
    car: Car, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("a start waits for a name server")

    monkeypatch.setattr(socket, "getfqdn", asked)
    api, folder = PageApi(car.ledger, car.board, car.sessions, lambda: 0), SyncFolder.of(tmp_path / "unit")
    server = PageServer((listen, 0), folder, api, car.sessions, car.feed)
    with server, car.laptop() as client:
        assert client.get(f"https://[::1]:{server.port}/").status_code == 200


def test_an_alert_is_confirmed_in_three_steps_beyond_the_plate(car: Car) -> None:
    client, alert = car.enter(), car.passes()
    (listed,) = client.get("/api/alerts").json()["alerts"]
    assert (listed["number"], listed["says"], listed["next"]) == (
        alert.number,
        "Stolen vehicle",
        "look at the image",
    )
    base = f"/api/alerts/{alert.number}"
    assert post(client, f"{base}/view").json()["images"] == ["patch", "overview"]
    assert client.get(f"{base}/patch").headers["content-type"].startswith("image/")
    compared = post(client, f"{base}/transcribe", plate="7XKR219", state="US-CA").json()
    assert all(agrees for _, _, agrees in compared["slots"])
    assert compared["entry"]["make"] == "KIA"
    assert post(client, f"{base}/answer", fit="yes").json()["answer"] == "confirmed"
    assert post(client, f"{base}/clets", practicable=True, text="CLETS 4711").status_code == 200
    assert post(client, f"{base}/close", outcome="stop").json()["closed"]
    assert client.get("/api/alerts").json()["alerts"] == []


def test_before_the_transcription_nothing_says_what_is_looked_for(car: Car) -> None:
    client, alert = car.enter(), car.passes()
    base = f"/api/alerts/{alert.number}"
    shown = client.get("/api/alerts").text + client.get(base).text + post(client, f"{base}/view").text
    for secret in SECRETS:
        assert secret not in shown
    other = car.enter("demo-supervisor", "ccat-supervisor")
    post(client, f"{base}/transcribe", plate="7XKR219", state="US-CA")
    assert "KIA" in client.get(base).text
    for secret in SECRETS:  # an officer's typing shows the entry only to that officer
        assert secret not in other.get(base).text + other.get("/api/alerts").text


def test_the_look_is_an_access_entry_before_the_image_leaves(car: Car) -> None:
    client, alert = car.enter(), car.passes()
    base = f"/api/alerts/{alert.number}"
    assert client.get(f"{base}/patch").status_code == 403
    size = car.ledger.store.log.size()
    post(client, f"{base}/view")
    looked = car.ledger.store.record(size)
    assert isinstance(looked, UnitAccess)
    assert (looked.user, looked.purpose, looked.case_number) == ("demo-officer", "enforcement", "26-1042")
    assert looked.records == (alert.read,)
    assert client.get(f"{base}/patch").status_code == 200
    other = car.enter("demo-supervisor", "ccat-supervisor")
    assert other.get(f"{base}/patch").status_code == 403  # one person's look does not open it to others


STRANGERS = [
    pytest.param("demo-vendor", "vendor", "may not see alerts", id="a vendor"),
    pytest.param("demo-reviewer", "reviewer", "may not see alerts", id="a reviewer"),
    pytest.param("demo-admin", "administrator", "may not see alerts", id="an administrator"),
    pytest.param("demo-officer", "dispatcher", "no role", id="in a role of another person"),
    pytest.param("nobody", "sworn-officer", "does not prove", id="an unknown user"),
]


@pytest.mark.parametrize(("user", "role", "why"), STRANGERS)
def test_who_may_not_see_alerts_is_refused_and_entered(car: Car, user: str, role: str, why: str) -> None:
    with car.laptop() as client:
        answer = car.log_on(client, user, role)
    assert answer.status_code == 403
    assert why in answer.text
    refused = car.ledger.store.record(car.ledger.store.log.size() - 1)
    assert isinstance(refused, UnitAccess)
    assert (refused.allowed, refused.user) == (False, user)


def test_a_signature_over_another_request_or_an_old_challenge_is_refused(car: Car) -> None:
    with car.laptop() as client:
        assert car.log_on(client, "demo-officer", "sworn-officer", action="query").status_code == 422
        request = access.Request(
            action="alerts",
            user="demo-officer",
            role="sworn-officer",
            purpose="",
            case_number="",
            subject=subject_of(UNIT),
        )
        given = decode(client.post("/logon/challenge", content=b"").content)
        proof = proof_of(car.ledger.store.home.root, request, None, given)
        body = encode({"request": codec.to_plain(request), "proof": codec.to_plain(proof)})
        assert client.post("/logon", content=body).status_code == 200
        assert client.post("/logon", content=body).status_code == 403


def test_a_ticket_opens_once_within_a_minute(car: Car) -> None:
    with car.laptop() as client:
        ticket = decode(car.log_on(client, "demo-officer", "sworn-officer").content)["ticket"]
        late = decode(car.log_on(client, "demo-officer", "sworn-officer").content)["ticket"]
        assert client.get(f"/enter?ticket={ticket}").status_code == 303
        assert client.get(f"/enter?ticket={ticket}").status_code == 403
        car.time.run(TICKET_US)
        assert client.get(f"/enter?ticket={late}").status_code == 403


def test_a_clock_that_is_put_far_ahead_shuts_no_trained_officer_out(car: Car) -> None:
    client = car.enter()
    car.time.jump(3000 * DAY_US)
    assert client.get("/api/alerts").status_code == 200
    assert car.enter().get("/api/alerts").status_code == 200
    car.time.run(3000 * DAY_US)
    assert car.log_on(car.laptop(), "demo-officer", "sworn-officer").status_code == 403


def test_a_session_ends_with_the_shift_with_training_and_by_logging_off(car: Car) -> None:
    client = car.enter()
    post(client, "/logoff")
    assert client.get("/api/alerts").status_code == 401
    client = car.enter()
    car.time.run(SHIFT_US)
    assert client.get("/api/alerts").status_code == 401
    client = car.enter()
    roster = car.ledger.standing.roster
    people = tuple(replace(one, trained_us=0) if one.user == "demo-officer" else one for one in roster.people)
    car.ledger.standing.roster = replace(roster, people=people)
    assert client.get("/api/alerts").status_code == 403


def test_a_covert_entry_is_seen_by_its_recipients_alone(car: Car) -> None:
    alert = car.passes(found=entry(recipients=("demo-supervisor",)))
    officer, named = car.enter(), car.enter("demo-supervisor", "ccat-supervisor")
    assert officer.get("/api/alerts").json()["alerts"] == []
    assert post(officer, f"/api/alerts/{alert.number}/view").status_code == 403
    assert [one["number"] for one in named.get("/api/alerts").json()["alerts"]] == [alert.number]


def test_an_event_reaches_an_open_page(car: Car) -> None:
    client = car.enter()
    with client.stream("GET", "/api/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        alert = car.passes()
        for line in lines:
            if line.startswith("data: "):
                assert json.loads(line[6:]) == {"number": alert.number, "what": "raised", "sounds": True}
                break


HOSTILE = [
    pytest.param("GET", "/api/alerts", {}, 401, id="no session"),
    pytest.param("GET", "/api/alerts", {"Cookie": "alerts=zz"}, 401, id="a session that is none"),
    pytest.param("GET", "/api/alerts", {"Cookie": "alerts=" + "0" * 64}, 401, id="a guessed session"),
    pytest.param("GET", "/../../etc/passwd", {}, 404, id="a path"),
    pytest.param("GET", "/api/alerts/1/entry", {}, 404, id="an unknown call"),
    pytest.param("POST", "/api/alerts/1/view", {}, 403, id="a form of another site"),
    pytest.param("POST", "/logon", {}, 422, id="a login that is none"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), HOSTILE)
def test_a_stranger_gets_nothing(
    car: Car, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    alert = car.passes()
    with car.laptop() as client:
        answer = client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert alert.says not in answer.text
    for secret in SECRETS:
        assert secret not in answer.text


BODIES = [
    b"[]",
    b"{",
    b'{"plate": 7}',
    b'{"plate": "' + b"A" * 300 + b'"}',
    b'{"plate": "\\u001b[2J"}',
    b"\xff",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body)[:20])
def test_a_body_that_is_not_a_form_is_refused(car: Car, body: bytes) -> None:
    client, alert = car.enter(), car.passes()
    post(client, f"/api/alerts/{alert.number}/view")
    path = f"/api/alerts/{alert.number}/transcribe"
    assert client.post(path, content=body, headers={"X-Alert-Page": "1"}).status_code == 422
    assert client.post(path, content=b"x" * (MAX_BODY + 1), headers={"X-Alert-Page": "1"}).status_code == 422


def test_the_page_runs_no_script_but_its_own_and_is_never_kept_or_framed(car: Car) -> None:
    with car.laptop() as client:
        page = client.get("/")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert "<script>" not in page.text
        assert not re.search(r"<[^>]*\son[a-z]+=", page.text)  # no handler in an attribute
        for name in ("/page.js", "/page.css"):
            assert client.get(name).status_code == 200
    cookie = car.laptop()
    ticket = decode(car.log_on(cookie, "demo-officer", "sworn-officer").content)["ticket"]
    said = cookie.get(f"/enter?ticket={ticket}").headers["set-cookie"]
    for word in ("Secure", "HttpOnly", "SameSite=Strict"):
        assert word in said


def test_bad_keys_lock_no_officer_out(car: Car) -> None:
    people = car.ledger.store.home.people
    good = (people / "demo-officer").read_bytes()
    (people / "demo-officer").write_bytes((people / "demo-supervisor").read_bytes())
    with car.laptop() as client:
        for _ in range(6):
            assert "does not prove" in car.log_on(client, "demo-officer", "sworn-officer").text
        (people / "demo-officer").write_bytes(good)
        assert car.log_on(client, "demo-officer", "sworn-officer").status_code == 200


@pytest.mark.parametrize(
    ("host", "good"), [(page_host(UNIT), True), ("localhost", False), ("alpr.example.gov", False)]
)
def test_a_units_certificate_serves_the_page_and_no_host_of_a_department(
    car: Car, tmp_path: Path, host: str, good: bool
) -> None:
    """A thief of a unit's key must not be able to pose as the department."""
    context = ssl.create_default_context(cafile=str(tmp_path / "authority" / "ca.pem"))
    with socket.create_connection(("127.0.0.1", car.server.port), timeout=PATIENCE_S) as line:
        if good:
            with context.wrap_socket(line, server_hostname=host) as served:
                assert served.version() == "TLSv1.3"
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                context.wrap_socket(line, server_hostname=host)


MAY = {"demo-officer", "demo-dispatcher", "demo-supervisor", "demo-analyst"}
CALLS = ("view", "transcribe", "answer", "clets", "close")


@pytest.mark.parametrize(
    ("user", "role"), [(user, role) for user, roles in DEMO_PEOPLE.items() for role in roles]
)
def test_each_role_makes_the_calls_of_the_policy_and_no_other(car: Car, user: str, role: str) -> None:
    """People who may not see alerts get no session, and without one no call reveals an alert."""
    alert = car.passes()
    base = f"/api/alerts/{alert.number}"
    client = car.laptop()
    logged_on = car.log_on(client, user, role)
    assert (logged_on.status_code == 200) is (user in MAY)
    if user in MAY:
        client.get(f"/enter?ticket={decode(logged_on.content)['ticket']}")
    answers = [client.get(path) for path in ("/api/alerts", base, f"{base}/patch", f"{base}/overview")]
    answers += [post(client, f"{base}/{call}", plate="7XKR219", state="CA", fit="yes") for call in CALLS]
    codes = [one.status_code for one in answers]
    if user in MAY:
        assert codes[:2] == [200, 200]
        assert codes[2:4] == [403, 403]  # no one sees a picture before the look is logged
        assert 401 not in codes
    else:
        assert set(codes) == {401}
        assert car.board.find(alert.number).state.steps == ()


def test_the_requester_of_an_entry_does_not_verify_its_alert(car: Car) -> None:
    client = car.enter()
    alert = car.passes(found=entry(make="KIA", requester="demo-officer", case="26-1042"))
    base = f"/api/alerts/{alert.number}"
    post(client, f"{base}/view")
    refused = post(client, f"{base}/transcribe", plate="7XKR219", state="CA")
    assert refused.status_code == 403
    assert "you requested" in refused.text
    assert "KIA" not in refused.text + client.get(base).text


def test_a_person_who_read_the_entry_first_does_not_confirm_it(car: Car) -> None:
    """What was typed shows the entry; typing the plate again, now that it is known, is refused."""
    client, alert = car.enter(), car.passes()
    base = f"/api/alerts/{alert.number}"
    post(client, f"{base}/view")
    shown = post(client, f"{base}/transcribe", plate="1AAA111", state="CA").json()
    assert "".join(wanted for _, wanted, _ in shown["slots"]) == "7XKR219"
    again = post(client, f"{base}/transcribe", plate="7XKR219", state="CA")
    assert again.status_code == 403
    assert "was shown to you" in again.text
    assert shown["answered"] is False
    said = post(client, f"{base}/answer", fit="yes").json()
    assert (said["answer"], said["answered"]) == ("wrong-character", True)
