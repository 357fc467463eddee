"""A session from login to end: who is admitted, what is recorded, and what ends it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from console_log import RememberedLog

from firmware.console.errors import UnitRefusedError
from firmware.console.failed_logins import FailedLogins
from firmware.console.maintenance import GRANT_LIMIT, OUTPUT_LIMIT, KeptOutput, SessionLog
from firmware.console.parser import FORMS
from firmware.console.session import Console
from firmware.console.unit import ResetObstacles, SelfTestLine
from firmware.screen import COLUMNS
from hw.serial_port import loopback_pair
from storage.codec import to_bytes
from storage.errors import StoreFullError
from storage.grant_format import LOG_DIGITS, NAMES_LOG, GrantRole
from storage.times import DAY_US
from tests.tools.bench_unit import BenchUnit
from tests.tools.rehearsal import Hands

Bench = Any  # tests/console/conftest.py
NOW_US = 1_777_777_777_000_000


def test_a_visit_disconnects_at_its_end_and_leaves_no_prompt(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(stays=False)
    bench.enter()
    bench.hands.type("exit")
    bench.over()
    bench.hands.wait_for("bye")
    bench.hands.skip()
    assert bench.hands.seen.rstrip().endswith("bye")
    assert bench.lines()[-1] == ("end", "session", "exit")


def test_a_grant_fills_no_card_with_what_its_sessions_show(office: Any) -> None:
    log, shared = RememberedLog(), KeptOutput()
    for _ in range(2 * GRANT_LIMIT // OUTPUT_LIMIT):
        session = SessionLog(log, lambda: NOW_US, office.grant(), shared)
        recording = session.begin("logs 999", live=False)
        recording.take(bytes(OUTPUT_LIMIT + 1))
        session.end(recording, "done")
    kept = [record.output for record in log.records if record.phase == "end"]
    assert sum(map(len, kept)) == GRANT_LIMIT
    assert {record.output_digest for record in log.records if record.phase == "end"} == {
        sha256(bytes(OUTPUT_LIMIT + 1)).digest()
    }


@pytest.mark.parametrize(("enrolled", "told"), [(True, True), (False, True)])
def test_a_person_who_keeps_a_unit_from_reading_sees_a_warning(
    office: Any, enrolled: bool, told: bool
) -> None:
    near, far = loopback_pair()
    console = Console(
        near, BenchUnit(enrolled=enrolled, empty=True), RememberedLog(),
        keys=lambda: [office.command_key.public_key()], failures=FailedLogins(None, lambda: 0.0, "boot"),
        tick_s=0.01, stays=False, notice="nothing is read meanwhile",
    )  # fmt: skip
    thread = threading.Thread(target=console.serve, daemon=True)
    thread.start()
    hands = Hands(far)
    hands.ask("exit", "bye")
    thread.join(timeout=300)
    assert ("nothing is read meanwhile" in hands.seen) is told


def test_a_visitor_who_does_not_log_in_is_disconnected(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(stays=False)
    bench.hands.wait_for("unit-7> ")
    bench.running.now_s += 119
    bench.hands.ask("help", "unit-7> ")
    bench.hands.press(b"\xff\x00")  # noise does not count as activity
    bench.running.now_s += 119
    bench.hands.ask("help", "unit-7> ")
    bench.running.now_s += 121
    bench.hands.wait_for("disconnected: no login")
    bench.over()


def test_a_visitor_may_take_time_over_a_challenge(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(stays=False)
    bench.hands.wait_for("unit-7> ")
    bench.hands.type("login")
    bench.hands.wait_for("gives up):")
    bench.running.now_s += 590
    bench.hands.press(b"\x03")
    bench.hands.wait_for("given up")
    bench.enter()


@pytest.mark.parametrize("typed", ["reboot car-12", "reboot car 12", "reboot unit-7"])
def test_a_unit_is_confirmed_by_its_name_or_its_id(make_bench: Callable[..., Bench], typed: str) -> None:
    bench = make_bench(BenchUnit(name="car-12"))
    bench.hands.wait_for("car-12 (unit-7), enrolled")
    bench.hands.log_in(bench.office.bundle(), bench.office.holder)
    bench.hands.wait_for("car-12 t.okafor> ")
    assert "type that name" in bench.hands.ask("reboot now please", "car-12 t.okafor> ")
    bench.hands.type(typed)
    bench.over()
    assert bench.unit.done == ["reboot"]


def test_a_technician_logs_in_gives_commands_and_leaves(bench: Bench) -> None:
    bench.enter()
    assert "yearly service" in bench.hands.seen
    assert "enrolled" in bench.ask("status")
    assert "sharp " in bench.ask("aim 0")
    assert "everything acknowledged" in bench.ask("sync now")
    bench.hands.type("exit")
    bench.hands.wait_for("bye")
    assert [line for line in bench.lines() if line[1] != "session"] == [
        ("begin", "login", "yearly service; WO-2026-118"),
        ("begin", "status", "begun"), ("end", "status", "done"),
        ("begin", "aim 0", "begun"), ("end", "aim 0", "done"),
        ("begin", "sync now", "begun"), ("end", "sync now", "done"),
    ]  # fmt: skip
    assert bench.lines()[-1] == ("end", "session", "exit")
    assert {record.person for record in bench.log.records} == {"t.okafor"}
    assert len({record.session for record in bench.log.records}) == 1


LONG = "a supervisor of the maintenance contractor asked for the words of this line to be many, " * 2


class TalkativeUnit(BenchUnit):
    """A unit that answers everything in long lines."""

    def camera(self) -> Mapping[str, str]:
        return {"source": LONG}

    def network(self) -> Sequence[str]:
        return [f"eth0     up    10.0.0.7        {LONG}"]

    def sync(self) -> Iterator[str]:
        yield LONG

    def selftest(self) -> Iterator[SelfTestLine]:
        yield SelfTestLine(name="camera", good=False, said=LONG)

    def update_state(self) -> Sequence[str]:
        return [LONG]

    def update(self, source: str) -> Iterator[str]:
        raise UnitRefusedError(LONG)
        yield

    def storage(self) -> Mapping[str, str]:
        return {"newer than every anchor": LONG}


def test_every_row_of_every_command_fits_a_technicians_terminal(make_bench: Callable[..., Bench]) -> None:
    unit = TalkativeUnit()
    unit.logs = [LONG]
    unit.obstacles = ResetObstacles(unacknowledged=4, log_size=10, holds=())
    bench = make_bench(unit)
    bench.enter(purpose=LONG[:110].strip())
    typed = {
        "aim": "aim 0", "sync": "sync now", "reboot": "reboot unit-8", "update": "update m1",
        "factory-reset": "factory-reset unit-7", "camera": "camera", "enroll": "enroll 12345678",
    }  # fmt: skip
    for name in FORMS:
        if name != "exit":
            bench.ask(typed.get(name, name))
    bench.ask("update")
    bench.ask("time 2026-05-01")
    rows = bench.hands.seen.replace("\r\n", "\n").split("\n")
    said = [row for row in rows if " " in row.strip() and "> " not in row]
    assert [row for row in said if len(row) >= COLUMNS] == []
    assert " ".join(" ".join(said).split()).count(" ".join(LONG.split())) >= 7  # not a word is lost
    assert any(row.startswith(" " * len("newer than every anchor")) for row in said)  # under its own column


def test_the_department_hears_which_grant_let_a_person_in(bench: Bench) -> None:
    bench.enter()
    (taken,) = bench.log.taken
    grant = bench.office.grant()
    assert (taken.grant_id, taken.digest) == (grant.grant_id, sha256(to_bytes(grant)).digest())


def test_an_ecdsa_key_lets_its_holder_in(make_bench: Callable[..., Bench], ecdsa_office: Any) -> None:
    bench = make_bench(desk=ecdsa_office)
    bench.enter()
    assert "log" in bench.ask("status")


def test_the_record_is_written_before_the_first_output(bench: Bench) -> None:
    bench.enter()
    order: list[str] = []
    append, storage = bench.log.append, bench.unit.storage

    def log_append(record: Any) -> Any:
        order.append(f"record {record.phase}")
        return append(record)

    def asked_storage() -> Any:
        order.append("asked")
        return storage()

    bench.log.append = log_append
    bench.unit.storage = asked_storage
    bench.ask("storage")
    assert order == ["record begin", "asked", "record end"]


def test_the_record_holds_the_output_and_its_hash(bench: Bench) -> None:
    bench.enter()
    shown = bench.ask("storage").split("storage\r\n", 1)[1].removesuffix("unit-7 t.okafor> ")
    record = bench.log.records[-1]
    assert record.output.decode() == shown
    assert record.output_digest == sha256(record.output).digest()


def test_of_a_live_view_only_the_hash_is_kept(bench: Bench) -> None:
    bench.enter()
    bench.ask("aim preview 0")
    record = bench.log.records[-1]
    assert (record.line, record.output, len(record.output_digest)) == ("aim preview 0", b"", 32)


def test_output_beyond_64_kb_is_hashed_but_not_kept(bench: Bench) -> None:
    bench.unit.logs = [f"event {number} went by without any trouble" for number in range(999)]
    bench.unit.logs = [line + " and then some" * 10 for line in bench.unit.logs]
    bench.enter()
    bench.ask("logs 999")
    record = bench.log.records[-1]
    assert len(record.output) == 64 * 1024
    assert record.output_digest != sha256(record.output).digest()


def test_without_a_record_nothing_is_done(bench: Bench) -> None:
    bench.enter()
    bench.log.failing = StoreFullError("the disk is full")
    shown = bench.ask("sync now")
    assert "cannot be recorded" in shown
    assert bench.unit.done == []


def test_a_passphrase_is_neither_echoed_nor_recorded_nor_remembered(bench: Bench) -> None:
    bench.enter()
    bench.hands.type("network wifi depot")
    bench.hands.wait_for("passphrase: ")
    bench.hands.type("hunter2 and more")
    bench.hands.wait_for("unit-7 t.okafor> ")
    bench.ask("network wifi depot inlinesecret")
    assert bench.unit.secrets_seen == ["hunter2 and more", "inlinesecret"]
    bench.hands.press(b"\x10\x10\x03")
    bench.hands.wait_for("unit-7 t.okafor> ")
    assert "hunter2" not in bench.hands.seen
    records = b"".join(str(record).encode() + record.output for record in bench.log.records)
    assert b"hunter2" not in records
    assert b"inlinesecret" not in records
    assert ("end", "network wifi depot ***", "done") in bench.lines()


def test_a_mistyped_line_is_recorded_without_what_might_be_a_secret_in_it(bench: Bench) -> None:
    bench.enter()
    bench.ask("netwrk wifi depot hunter2")
    bench.ask("enroll hunter2-hunter2")
    assert "hunter2" not in str(bench.log.records)
    assert ("end", "(25 characters, not a command)", "refused") in bench.lines()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cable", "cable pulled"),
        ("time", "time over"),
        ("idle", "idle"),
        ("revoked", "revoked"),
        ("stop", "stopped"),
    ],
)
def test_every_end_of_a_session_is_in_the_log(
    make_bench: Callable[..., Bench], name: str, reason: str
) -> None:
    bench = make_bench()
    bench.enter(to_us=NOW_US + (200_000_000 if name == "time" else DAY_US))
    if name == "cable":
        bench.hands.pull()
        bench.over()
    elif name == "time":
        bench.running.now_s += 201
        bench.hands.wait_for("session time is up")
    elif name == "idle":
        bench.running.now_s += 301
        bench.hands.wait_for("locked after inactivity")
    elif name == "revoked":
        bench.unit.taken_back.add("t.okafor")
        bench.running.now_s += 6
        bench.hands.wait_for("was revoked")
    else:
        bench.console.stop()
        bench.hands.wait_for("the reader is stopping")
        bench.over()
    assert bench.lines()[-1] == ("end", "session", reason)


def test_after_its_end_a_session_gives_no_command(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.enter(to_us=NOW_US + 200_000_000)
    bench.running.now_s += 201
    bench.hands.wait_for("session time is up")
    bench.hands.wait_for("unit-7> ")
    bench.hands.type("status")
    assert "not available" in bench.hands.wait_for("unit-7> ")


def test_five_failed_logins_lock_out_for_a_quarter_of_an_hour(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    wrong = bench.office.bundle(units=("unit-8",))
    for _ in range(5):
        bench.hands.log_in(wrong, bench.office.holder)
        bench.hands.wait_for("refused: ")
        bench.hands.wait_for("unit-7> ")
    bench.hands.type("login")
    assert "locked after 5" in bench.hands.wait_for("unit-7> ")
    bench.running.now_s += 14 * 60
    bench.hands.type("login")
    assert "locked after 5" in bench.hands.wait_for("unit-7> ")
    bench.running.now_s += 61
    bench.enter()
    assert sum(line[2].startswith("refused") for line in bench.lines()) == 5
    assert sum("(locked)" in line[2] for line in bench.lines()) == 1


def test_four_failures_and_a_good_login_restart_the_count(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    for _ in range(2):
        for _ in range(4):
            bench.hands.log_in(bench.office.bundle(units=("unit-8",)), bench.office.holder)
            bench.hands.wait_for("refused: ")
        bench.enter()
        bench.hands.type("exit")
        bench.hands.wait_for("bye")


LOG = "3fa2b1c04d5e6f70" * 4
OF_LOG = {"destroy_log": LOG[:LOG_DIGITS], "format": NAMES_LOG}


@pytest.mark.parametrize(
    ("typed", "obstacles", "grant", "done"),
    [
        ("factory-reset unit-8", (0, ()), {}, False),
        ("factory-reset unit-7", (3, ()), {}, False),
        ("factory-reset unit-7", (3, ()), {"destroy_up_to": 9}, False),
        ("factory-reset unit-7", (0, (4,)), {}, False),
        ("factory-reset unit-7", (0, (4,)), {"destroy_holds": (5,)}, False),
        ("factory-reset unit-7", (0, ()), {}, True),
        ("factory-reset unit-7", (3, (4,)), {"destroy_up_to": 10, "destroy_holds": (4,)}, True),
        # two people approved the loss of this log, not of the next one after a reset under the same grant
        ("factory-reset unit-7", (3, (), NOW_US), {"destroy_up_to": 10}, False),
        ("factory-reset unit-7", (0, (4,), NOW_US), {"destroy_holds": (4,)}, False),
        ("factory-reset unit-7", (0, (), NOW_US), {"destroy_up_to": 10}, True),
        ("factory-reset unit-7", (3, (), NOW_US - DAY_US), {"destroy_up_to": 10}, True),
        # a grant that names a log is valid for it, whatever the clock was when the log was opened
        ("factory-reset unit-7", (3, (), NOW_US, LOG), {"destroy_up_to": 10, **OF_LOG}, True),
        ("factory-reset unit-7", (0, (4,), NOW_US, LOG), {"destroy_holds": (4,), **OF_LOG}, True),
        ("factory-reset unit-7", (3, (), 1, LOG[::-1]), {"destroy_up_to": 10, **OF_LOG}, False),
        ("factory-reset unit-7", (0, (), 1, LOG[::-1]), OF_LOG, False),
    ],
)
def test_a_factory_reset_destroys_only_what_is_safe_or_named(
    make_bench: Callable[..., Bench], typed: str, obstacles: Any, grant: dict[str, Any], done: bool
) -> None:
    unit = BenchUnit()
    given: list[Any] = [*obstacles, *(0, LOG)[len(obstacles) - 2 :]]
    names = ("unacknowledged", "holds", "opened_us", "log")
    unit.obstacles = replace(unit.obstacles, **dict(zip(names, given, strict=True)))
    bench = make_bench(unit)
    bench.enter(**grant)
    bench.hands.type(typed)
    if done:
        bench.over()
        assert unit.done == ["keys destroyed", "home cleared"]
    else:
        bench.hands.wait_for("unit-7 t.okafor> ")
        assert unit.done == []


@pytest.mark.parametrize("command", ["factory-reset unit-7", "update /media/usb/bundle"])
def test_a_cable_pulled_in_a_reset_or_an_update_does_not_leave_it_half_done(
    make_bench: Callable[..., Bench], command: str
) -> None:
    bench = make_bench()
    bench.enter()
    name = command.split(" ", maxsplit=1)[0].replace("-", "_")
    real = getattr(bench.unit, name)

    def pulled(*words: Any, **more: Any) -> Any:
        bench.hands.pull()
        yield from real(*words, **more)

    setattr(bench.unit, name, pulled)
    bench.hands.type(command)
    bench.over()
    assert bench.unit.done == (["keys destroyed", "home cleared"] if name == "factory_reset" else ["update"])


def test_an_empty_unit_that_is_not_enrolled_offers_four_commands_and_no_login(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(BenchUnit(enrolled=False, empty=True))
    bench.hands.wait_for("unit-7> ")
    shown = bench.hands.ask("help", "unit-7> ")
    offered = [line.split()[0] for line in shown.replace("\r", "").splitlines()[1:-1]]
    assert offered == ["aim", "network", "selftest", "enroll", "help", "exit"]
    for refused in ("status", "login", "logs", "reboot unit-7", "factory-reset unit-7"):
        assert "not available" in bench.hands.ask(refused, "unit-7> ")
    assert "enrolled at the department" in bench.hands.ask("enroll 0123456789abcdef", "unit-7> ")
    assert ("end", "enroll ***", "done") in bench.lines()


def test_a_unit_that_holds_reads_stays_open_to_the_holder_of_a_code(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(BenchUnit(enrolled=False, empty=False))
    bench.hands.wait_for("enroll destroys them")
    bench.hands.wait_for("unit-7> ")
    for opened in ("selftest", "network"):
        bench.hands.type(opened)
        assert "not available" not in bench.hands.wait_for("unit-7> ")
    bench.hands.type("aim")
    bench.hands.wait_for("no plate in view")
    bench.hands.press(b" ")
    bench.hands.wait_for("unit-7> ")
    for refused in ("status", "login", "logs"):
        assert "enroll first" in bench.hands.ask(refused, "unit-7> ")


@pytest.mark.parametrize("typed", ["enroll 0123456789abcdef", "enroll"])
@pytest.mark.parametrize("confirmed", ["unit-7", "unit-8", ""])
def test_earlier_reads_are_destroyed_only_after_the_units_name_is_typed(
    make_bench: Callable[..., Bench], typed: str, confirmed: str
) -> None:
    bench = make_bench(BenchUnit(enrolled=False, empty=False))
    bench.hands.wait_for("unit-7> ")
    bench.hands.type(typed)
    if typed == "enroll":
        bench.hands.wait_for("code: ")
        bench.hands.type("0123456789abcdef")
    bench.hands.wait_for("to continue:")
    bench.hands.type(confirmed)
    bench.hands.wait_for("unit-7> ")
    assert bench.unit.done == (["enroll"] if confirmed == "unit-7" else [])
    assert "0123456789abcdef" not in str(bench.lines())
    if typed == "enroll":
        assert "0123456789abcdef" not in bench.hands.seen


def test_the_next_person_finds_neither_history_nor_session(bench: Bench) -> None:
    bench.enter()
    bench.ask("network wifi depot x")
    bench.hands.type("exit")
    bench.hands.wait_for("unit-7> ")
    bench.hands.press(b"\x1b[A\x1b[A\r")
    assert "wifi" not in bench.hands.wait_for("unit-7> ")


def test_control_c_ends_a_live_view(bench: Bench) -> None:
    bench.enter()
    bench.hands.type("aim 3600")
    bench.hands.wait_for("no plate in view")
    bench.hands.press(b"\x03")
    bench.hands.wait_for("unit-7 t.okafor> ")
    assert bench.lines()[-1] == ("end", "aim 3600", "done")


def test_a_vendor_gets_exactly_the_commands_that_were_signed(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.enter(role=GrantRole.VENDOR, to_us=NOW_US + DAY_US, commands=("selftest", "status"))
    assert "no part" not in bench.ask("selftest")
    for refused in (
        "aim",
        "logs",
        "sync now",
        "update",
        "reboot unit-7",
        "factory-reset unit-7",
        "storage",
        "time",
    ):
        assert "not available" in bench.ask(refused)
    assert bench.unit.done == ["selftest"]
    assert sum(line[2] == "refused" for line in bench.lines()) == 8


def test_hands_read_what_a_busy_line_cuts_in_the_middle() -> None:
    near, far = loopback_pair()
    hands = Hands(far)
    for part in (b"unit\x1b", b"[1;3", b"1m-7\xe2\x80", b"\xa6> "):
        near.write(part)
        hands.skip()
    assert hands.seen == "unit-7\u2026> "
