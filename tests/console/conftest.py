"""A console on a loopback cable, an administrator who signs grants, and a person who types."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from console_log import RememberedLog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from field_home import Home

from firmware.console.failed_logins import FailedLogins
from firmware.console.session import Console
from hw.serial_port import loopback_pair
from storage.grant_format import COMMANDS, FORMAT, Bundle, Grant, GrantRole, issue
from storage.ssh_signature import PrivateKey, SshPublicKey
from storage.times import DAY_US
from tests.tools.bench_unit import BenchUnit
from tests.tools.rehearsal import Hands

NOW_US = 1_777_777_777_000_000


class Running:
    """CLOCK_BOOTTIME, moved by a test."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Office:
    """The administrator's office: the command key, and grants for one holder."""

    command_key: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    holder: PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    def grant(self, **changes: object) -> Grant:
        made = Grant(
            format=FORMAT, grant_id="00112233445566778899aabbccddeeff", person="t.okafor",
            organisation="CCAT bureau",
            role=GrantRole.TECHNICIAN, holder_key=SshPublicKey.of(self.holder).blob,
            purpose="yearly service", work_order="WO-2026-118", units=("unit-7",),
            commands=tuple(sorted(COMMANDS)), issued_us=NOW_US - DAY_US,
            from_us=NOW_US - DAY_US, to_us=NOW_US + 30 * DAY_US, destroy_up_to=0, destroy_holds=(),
        )  # fmt: skip
        return replace(made, **changes)  # type: ignore[arg-type]

    def bundle(self, **changes: object) -> Bundle:
        return issue(self.grant(**changes), self.command_key)


@dataclass
class Bench:
    unit: BenchUnit
    log: RememberedLog
    hands: Hands
    console: Console
    office: Office
    running: Running
    failures: FailedLogins
    thread: threading.Thread

    def enter(self, **changes: object) -> None:
        """Log in with a valid grant."""
        self.hands.log_in(self.office.bundle(**changes), self.office.holder)
        self.hands.wait_for("unit-7 t.okafor> ")

    def ask(self, line: str) -> str:
        return self.hands.ask(line, "unit-7 t.okafor> ")

    def over(self) -> None:
        """Wait until the console has seen the end of the line."""
        self.thread.join(timeout=300)
        assert not self.thread.is_alive()

    def lines(self) -> list[tuple[str, str, str]]:
        return [(record.phase, record.line, record.result) for record in self.log.records]


@pytest.fixture(scope="session")
def office() -> Office:
    return Office()


@pytest.fixture(scope="session")
def ecdsa_office() -> Office:
    return Office(holder=ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def make_bench(office: Office) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(
        unit: BenchUnit | None = None,
        *,
        desk: Office = office,
        failures: FailedLogins | None = None,
        stays: bool = True,
    ) -> Bench:
        near, far = loopback_pair("console", "laptop")
        running, log, unit = Running(), RememberedLog(), unit or BenchUnit()
        failures = failures or FailedLogins(None, running, "boot")
        console = Console(
            near, unit, log, keys=lambda: [desk.command_key.public_key()], failures=failures,
            running_s=running, tick_s=0.01, pace_s=0.0, stays=stays,
        )  # fmt: skip
        thread = threading.Thread(target=console.serve, daemon=True)
        bench = Bench(unit, log, Hands(far), console, desk, running, failures, thread)
        benches.append(bench)
        thread.start()
        return bench

    yield make
    for bench in benches:
        bench.hands.pull()
        bench.over()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    made = make_bench()
    made.hands.wait_for("unit-7> ")
    return made


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    yield made
    made.ledger.store.close()
