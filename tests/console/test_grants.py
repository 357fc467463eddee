"""Every kind of bad grant with every command and role: none is admitted, and each refusal is logged."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from firmware.console.challenge import LIFE_S, Challenge, ChallengeAnswer
from firmware.console.errors import LineRefusedError, LoginRefusedError
from firmware.console.grant_use import AHEAD_S
from hw.clock import SetClock
from storage.codec import to_bytes
from storage.envelope import sign
from storage.grant_format import (
    COMMANDS,
    GRANT_CONTEXT,
    Bundle,
    Delegation,
    GrantRole,
    delegate,
    issue,
)
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US
from tests.tools.bench_unit import BenchUnit
from tests.tools.rehearsal import answer_to

Bench = Any  # tests/console/conftest.py
NOW_US = 1_777_777_777_000_000
TYPED = {
    "status": "status", "aim": "aim 0", "camera": "camera gain 3.0", "network": "network wifi depot x",
    "time": "time 2026-05-03T12:00:00Z", "storage": "storage", "sync": "sync now", "selftest": "selftest",
    "logs": "logs", "update": "update /media/usb/bundle", "reboot": "reboot unit-7",
    "factory-reset": "factory-reset unit-7",
}  # fmt: skip
OTHER_KEY = ed25519.Ed25519PrivateKey.generate()
ROLES = {GrantRole.TECHNICIAN: 30 * DAY_US, GrantRole.VENDOR: 10 * DAY_US}


def expired(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    return office.bundle(**grant | {"from_us": NOW_US - 2 * DAY_US, "to_us": NOW_US - 1}), office.holder


def not_yet(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    return office.bundle(**grant | {"from_us": NOW_US + DAY_US, "to_us": NOW_US + 2 * DAY_US}), office.holder


def wrong_unit(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    return office.bundle(**grant | {"units": ("unit-8", "unit-70", "department")}), office.holder


def self_signed(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    return issue(office.grant(**grant), OTHER_KEY), office.holder


def stolen_without_key(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    return office.bundle(**grant), OTHER_KEY


def altered(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    """Another purpose than the signed one, with the old signature."""
    small = office.bundle(**grant | {"purpose": "a look"}).grant
    large = office.bundle(**grant).grant
    return Bundle(grant=large[:-64] + small[-64:], delegation=None), office.holder


def signed_for_another_use(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    payload = to_bytes(office.grant(**grant))
    return Bundle(
        grant=sign(payload, office.command_key, context=b"alpr configuration"), delegation=None
    ), office.holder


def officer(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    """A signed grant with a role that no console knows."""
    payload = to_bytes(office.grant(**grant)).replace(b"\x64roletechnician"[1:], b"roletechnician")
    payload = payload.replace(b"\x6atechnician", b"\x6aanalyst\x20\x20\x20").replace(
        b"\x66vendor", b"\x66sworn1"
    )
    return Bundle(
        grant=sign(payload, office.command_key, context=GRANT_CONTEXT), delegation=None
    ), office.holder


def self_made_designee(office: Any, **grant: Any) -> tuple[Bundle, Any]:
    lent = Delegation(
        format=1,
        designee="me",
        public_key=OTHER_KEY.public_key().public_bytes_raw(),
        from_us=0,
        to_us=1 << 60,
    )
    short = {"from_us": NOW_US - 1, "to_us": NOW_US + HOUR_US, "commands": ("status",)}
    made = issue(office.grant(**grant | short), OTHER_KEY, delegation=delegate(lent, OTHER_KEY))
    return made, office.holder


BAD = [
    pytest.param(expired, "the grant has ended", id="expired"),
    pytest.param(not_yet, "the grant begins at", id="not yet valid"),
    pytest.param(wrong_unit, "the grant names", id="wrong unit"),
    pytest.param(self_signed, "not signed by a key that", id="forged: signed by the holder's friend"),
    pytest.param(stolen_without_key, "signed by another key", id="stolen, without the holder's key"),
    pytest.param(altered, "signature", id="altered after signing"),
    pytest.param(signed_for_another_use, "signature", id="signed for another use"),
    pytest.param(officer, "is not one of", id="a role that has no console"),
    pytest.param(self_made_designee, "not signed by a key that", id="self-made designee"),
]


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize(("kind", "reason"), BAD)
def test_no_bad_grant_opens_any_command(
    make_bench: Callable[..., Bench], kind: Callable[..., Any], reason: str, role: GrantRole
) -> None:
    for command, typed in TYPED.items():
        bench = make_bench()
        bundle, key = kind(bench.office, role=role, to_us=NOW_US + ROLES[role], commands=(command,))
        bench.hands.wait_for("unit-7> ")
        bench.hands.log_in(bundle, key)
        assert reason in bench.hands.wait_for("unit-7> ")
        assert "not available" in bench.hands.ask(typed, "unit-7> ")
        assert bench.unit.done == []
        assert [record.phase for record in bench.log.records] == ["end"]
        assert bench.log.records[0].result.startswith("refused: ")


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize("granted", sorted(COMMANDS))
def test_a_grant_of_one_command_opens_that_one_and_no_other(
    make_bench: Callable[..., Bench], granted: str, role: GrantRole
) -> None:
    bench = make_bench()
    bench.enter(role=role, to_us=NOW_US + ROLES[role], commands=(granted,))
    for command, typed in TYPED.items():
        if command != granted:
            assert "not available" in bench.ask(typed)
    assert bench.unit.done == []
    bench.hands.type(TYPED[granted])
    if granted in {"reboot", "factory-reset"}:
        bench.over()
    else:
        assert "not available" not in bench.hands.wait_for("unit-7 t.okafor> ")


@pytest.mark.parametrize("role", list(ROLES))
def test_a_recorded_answer_opens_no_second_session(make_bench: Callable[..., Bench], role: GrantRole) -> None:
    bench = make_bench()
    kept: list[bytes] = []
    bench.hands.wait_for("unit-7> ")
    bundle = bench.office.bundle(role=role, to_us=NOW_US + ROLES[role])

    def keep(data: bytes) -> bytes:
        kept.append(data)
        return data

    bench.hands.log_in(bundle, bench.office.holder, keep)
    bench.hands.wait_for("unit-7 t.okafor> ")
    bench.hands.type("exit")
    bench.hands.wait_for("unit-7> ")
    bench.hands.log_in(bundle, bench.office.holder, lambda _data: kept[0])
    assert "is not valid" in bench.hands.wait_for("unit-7> ")
    for typed in TYPED.values():
        assert "not available" in bench.hands.ask(typed, "unit-7> ")
    assert bench.unit.done == []


def test_an_answer_made_for_another_unit_is_of_no_use_here(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bundle = bench.office.bundle(units=("unit-7", "unit-8"))
    relayed = answer_to(Challenge.ask("unit-8", 0.0), bundle, bench.office.holder).to_bytes()
    bench.hands.wait_for("unit-7> ")
    bench.hands.log_in(bundle, bench.office.holder, lambda _data: relayed)
    assert "is not valid" in bench.hands.wait_for("unit-7> ")


def test_an_answer_to_an_old_challenge_comes_too_late(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.hands.wait_for("unit-7> ")

    def slowly(data: bytes) -> bytes:
        bench.running.now_s += LIFE_S + 1
        return data

    bench.hands.log_in(bench.office.bundle(), bench.office.holder, slowly)
    assert "too old" in bench.hands.wait_for("unit-7> ")


def unsure(now_us: int, error_us: int) -> BenchUnit:
    """A unit whose clock shows this time, with this error."""
    unit = BenchUnit()
    unit.clock = type(unit.clock)(now_us, error_us=error_us)
    return unit


def test_an_uncertain_clock_never_lengthens_a_grant(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(unsure(NOW_US, 6 * HOUR_US))
    bench.hands.wait_for("unit-7> ")
    bench.hands.log_in(bench.office.bundle(to_us=NOW_US + HOUR_US), bench.office.holder)
    shown = bench.hands.wait_for("unit-7> ")
    assert "may have ended" in shown
    assert "certain to within 6.0 h" in shown  # a holder of a valid grant sees why, and the cure
    assert "GPS or network time" in shown


@pytest.mark.parametrize("behind_us", [0, 3 * DAY_US, 400 * DAY_US], ids=["right", "3 days", "a year"])
def test_a_short_grant_works_where_the_clock_knows_nothing(
    make_bench: Callable[..., Bench], behind_us: int
) -> None:
    """The technician comes because of a broken modem: no network, no satellites, no battery."""
    bench = make_bench(unsure(NOW_US - behind_us, DAY_US))
    bench.hands.wait_for("unit-7> ")
    short = {"issued_us": NOW_US - HOUR_US, "from_us": NOW_US - HOUR_US, "to_us": NOW_US + 3 * HOUR_US}
    bench.enter(**short)
    assert "counts in running time" in bench.hands.seen
    assert bench.console._use._written == {bench.office.grant().grant_id: AHEAD_S}
    bench.running.now_s += 4 * 3600 + 1
    bench.hands.wait_for("the session time is up")


def test_the_length_of_a_grant_is_used_up_over_all_its_sessions(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(unsure(NOW_US - DAY_US, DAY_US))
    bench.hands.wait_for("unit-7> ")
    short = {"issued_us": NOW_US, "from_us": NOW_US, "to_us": NOW_US + 2 * HOUR_US}
    bench.enter(**short)
    for _ in range(12):  # 56 minutes, in steps just shorter than the idle lock
        bench.running.now_s += 280
        bench.ask("status")
    bench.hands.type("exit")
    bench.hands.wait_for("unit-7> ")
    bench.enter(**short)
    while "time is up" not in bench.hands.seen:
        assert bench.running.now_s < 1000 + 7200 + 300
        bench.running.now_s += 280
        bench.hands.type("status")
        bench.hands.wait_for("> ")
    bench.hands.log_in(bench.office.bundle(**short), bench.office.holder)
    assert "used up" in bench.hands.wait_for("unit-7> ")


def test_a_grant_that_was_surely_issued_later_shows_that_the_clock_is_behind(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(unsure(NOW_US - 3 * DAY_US, 60_000_000))
    bench.hands.wait_for("unit-7> ")
    bench.enter(issued_us=NOW_US, from_us=NOW_US, to_us=NOW_US + 8 * HOUR_US)


def test_a_good_grant_s_holder_sets_the_clock_that_keeps_it_out(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(unsure(NOW_US, 6 * HOUR_US))
    bench.hands.wait_for("unit-7> ")
    late = {"from_us": NOW_US + 10 * DAY_US, "to_us": NOW_US + 10 * DAY_US + 8 * HOUR_US}
    assert "log in first" in bench.hands.ask("time", "unit-7> ")
    for _ in range(6):  # not failed logins: a clock locks no one out
        bench.hands.log_in(bench.office.bundle(**late), bench.office.holder)
        assert "set this unit's clock with" in bench.hands.wait_for("unit-7> ")
    outside = "time 2030-01-01T00:00:00Z"
    assert "within the grant" in bench.hands.ask(outside, "unit-7> ")
    moment = datetime.fromtimestamp((NOW_US + 10 * DAY_US + HOUR_US) / 1e6, UTC)
    bench.hands.type(f"time {moment:%Y-%m-%dT%H:%M:%SZ}")
    bench.hands.wait_for("type the date again:")
    bench.hands.type(f"{moment:%Y-%m-%d}")
    bench.hands.wait_for("unit-7> ")
    assert bench.unit.done == ["time"]
    set_by = [record.person for record in bench.log.records if record.line.startswith("time ")]
    assert set(set_by) == {"t.okafor"}
    bench.enter(**late)


def test_a_clock_that_is_sure_is_set_only_after_a_login(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    bench.hands.wait_for("unit-7> ")
    later = {"from_us": NOW_US + 10 * DAY_US, "to_us": NOW_US + 11 * DAY_US}
    bench.hands.log_in(bench.office.bundle(**later), bench.office.holder)
    assert "begins at" in bench.hands.wait_for("unit-7> ")
    assert "log in first" in bench.hands.ask("time 2026-05-13T04:00:00Z", "unit-7> ")


@pytest.mark.parametrize("what", ["grant_id", "person", "key"])
def test_a_revoked_grant_person_or_key_is_refused(make_bench: Callable[..., Bench], what: str) -> None:
    bench = make_bench()
    grant = bench.office.grant()
    bench.unit.taken_back.add(
        {"grant_id": grant.grant_id, "person": grant.person, "key": grant.holder.fingerprint}[what]
    )
    bench.hands.wait_for("unit-7> ")
    bench.hands.log_in(bench.office.bundle(), bench.office.holder)
    assert "was revoked" in bench.hands.wait_for("unit-7> ")


def test_a_session_ends_as_early_as_the_clock_may_be_late(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(BenchUnit(clock=SetClock(NOW_US, error_us=2 * HOUR_US)))
    bench.enter(to_us=NOW_US + 3 * HOUR_US)
    bench.running.now_s += 3601
    bench.hands.wait_for("session time is up")


def test_a_holder_is_a_key_of_a_kind_that_ssh_makes() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        public = SshPublicKey.of(key)
        assert SshPublicKey.from_line(public.line) == public


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("unit-7", "unit-8"), id="another unit under the same check"),
        pytest.param(lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), id="a mistyped check"),
        pytest.param(lambda text: text[:-5], id="without its check"),
        pytest.param(lambda text: text + "0", id="a digit too many"),
        pytest.param(lambda _text: "", id="nothing"),
    ],
)
def test_a_challenge_that_was_mistyped_is_not_signed(change: Callable[[str], str]) -> None:
    text = Challenge.ask("unit-7", 0.0).text
    assert Challenge.parse(f" {text}\n").text == text
    with pytest.raises(LineRefusedError, match="not a challenge, or mistyped"):
        Challenge.parse(change(text))


def test_what_is_not_an_answer_is_refused_with_its_reason() -> None:
    with pytest.raises(LoginRefusedError, match="not an answer"):
        ChallengeAnswer.parse(b"\xff no answer")


def test_an_answer_that_is_typed_for_too_long_is_not_waited_for(make_bench: Callable[..., Bench]) -> None:
    """Every line comes in time, but none ends the answer."""
    bench = make_bench()
    bench.hands.wait_for("unit-7> ")
    bench.hands.type("login")
    bench.hands.wait_for("control-C gives up")
    bench.running.now_s += LIFE_S - 1
    bench.hands.type("no line of an answer")
    bench.hands.wait_for("not a line of an answer")
    bench.running.now_s += 2
    bench.hands.type("nor is this")
    bench.hands.wait_for("too old")
    bench.hands.wait_for("unit-7> ")
