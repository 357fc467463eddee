"""A small real department for the desk's tests: a store with reads, all roles, a witness and a clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlparse

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_units import Pass, UnitTwin

from sync import root_file
from sync.department.content import followed_log
from sync.department.desk import snapshot
from sync.department.desk.audit.calls import AuditCloseForm, look_daily
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Desk
from sync.department.desk.holds.calls import HoldForm, Placed
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.calls import AccountForm, CredentialForm, HandedOver, PasswordForm
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.ground.department_time import Clocks
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.ground.settings import Settings
from sync.department.journal.entries import Shift
from sync.department.journal.inquiry_entries import Ground, Query
from sync.department.journal.witness_link import FolderWitness
from sync.department.journal.witness_server import WitnessFolder
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import FreshProofError, NotYetError
from sync.department.policy.roles import Role
from sync.department.server.daily import show_log
from sync.department.server.founding import OFFICES, found
from sync.department.server.open_desk import adopt_root, first_administrator, open_front
from sync.errors import LinkError
from sync.root_file import RootWitness

START_US = 1_790_000_000_000_000  # 2026-09-21, a Monday
READS_A_DAY = 11
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
PASSWORD = "correct horse 463"  # noqa: S105 - of no one
COURSE = "ALPR-463"
TOPICS = ("equipment", "department-policy", "privacy-policy")
PEOPLE: dict[str, Role] = {
    "chief": Role.ADMINISTRATOR,
    "super": Role.CCAT_SUPERVISOR,
    "comm1": Role.COMMUNICATIONS,
    "disp1": Role.DISPATCHER,
    "officer1": Role.OFFICER,
    "analyst1": Role.CCAT,
    "deputy": Role.DESIGNEE,
    "reviewer1": Role.REVIEWER,
    "vendor1": Role.VENDOR,
}
GROUND = Ground(
    purpose="investigation",
    basis="criminal-investigation",
    number="26-001234",
    number_kind="case",
    justification="hit and run on Myrtle Avenue",
)
CAD = replace(GROUND, number_kind="cad", number="CAD-2611-0042")
HOLD = HoldForm(
    reads=(), hold_ground="discovery", authority="Superior Court", number="26-001234", ground=GROUND
)


@dataclass
class StepClock:
    """A clock that moves only when a test steps it."""

    us: int = START_US

    def __call__(self) -> int:
        return self.us

    def step(self, us: int) -> None:
        self.us += us


class SwitchedWitness:
    """A real witness's folder behind a line that can be cut."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self.folder = WitnessFolder(folder)
        self.away = False
        self.clock = clock

    def cosign(self, old_size: int, proof: list[bytes], note: str) -> str:
        if self.away:
            raise LinkError("the line is cut", where="witness")
        return FolderWitness(self.folder, self.clock).cosign(old_size, proof, note)

    def newest(self, origin: str) -> str:
        return FolderWitness(self.folder).newest(origin)

    def close(self) -> None:
        self.folder.close()


@dataclass
class Department:
    """An open department, with the clock, witness and people that a test controls."""

    home: DepartmentHome
    front: DeskContext
    clock: StepClock
    witness: SwitchedWitness
    secrets: dict[str, tuple[str, str]] = field(repr=False)
    reads: tuple[str, ...] = ()

    def close(self) -> None:
        self.front.close()
        self.witness.close()

    def restart(self) -> None:
        """Close the desk and open it again from a snapshot of its whole state."""
        self.desk.refresh()
        snapshot.write(self.desk.log, self.desk.book)
        self.close()
        again = open_department(self.home.path.parent, self.clock, self.secrets)
        self.front, self.witness = again.front, again.witness

    @property
    def desk(self) -> Desk:
        return self.front.desk

    def logon(self, user: str, *, post: str = "", proves: bool = True) -> str:
        """Log in as a command would. The clock advances by the life of a code."""
        self.clock.step(31_000_000)
        password, secret = self.secrets[user]
        code = pyotp.TOTP(secret).at(self.clock.us // 1_000_000)
        return self.desk.logons.logon(user, password, code, post=post, proves=proves)

    def prove(self, user: str, token: str, name: str, form: object) -> None:
        """Give the fresh proof that a call asks for. The clock advances by the life of a code."""
        with pytest.raises(FreshProofError):
            self.call(name, token, form)
        self.clock.step(31_000_000)
        self.desk.logons.prove(token, self.secrets[user][0], self.code(user))

    def code(self, user: str) -> str:
        return pyotp.TOTP(self.secrets[user][1]).at(self.clock.us // 1_000_000)

    def call(self, name: str, token: str, form: object) -> object:
        """Make one call of the desk's table."""
        return OPERATIONS[name].run(self.front, token, form)

    def searched(self, token: str, reads: Sequence[str]) -> tuple[int, ...]:
        """Search for the plates of these reads in a person's session. Returns the entries of the searches."""
        accesses = []
        for read in reads:
            day, number = divmod(self.reads.index(read), READS_A_DAY)
            plate = "8XYZ123" if number == READS_A_DAY - 1 else f"7ABC{day}{number:02d}"
            query = replace(self.plate(plate), since_us=START_US - 10 * DAY_US)
            answer = self.call("inquiry/run", token, RunForm(query=query, ground=GROUND))
            assert isinstance(answer, Answer)
            assert read in {one.read for one in answer.reads}
            accesses.append(answer.access)
        return tuple(accesses)

    def held(self, token: str, reads: Sequence[str] = (), **changes: Any) -> int:
        """Search for these reads (by default the first) and place a hold on them. Returns its number."""
        names = tuple(reads) or self.reads[:1]
        form = replace(HOLD, reads=names, accesses=self.searched(token, names), **changes)
        placed = self.call("hold/place", token, form)
        assert isinstance(placed, Placed)
        return placed.hold

    def plate(self, plate: str) -> Query:
        """The query of a search for one plate over the last ten days."""
        return Query(plate=plate, since_us=self.clock.us - 10 * DAY_US, until_us=self.clock.us)

    def add_person(self, admin: str, user: str, roles: tuple[Role, ...], shift: Shift | None = None) -> None:
        """Add an untrained person, who then sets a password of their own."""
        form = AccountForm(
            user=user, name=user.title(), organisation="Monrovia PD", roles=roles, reason="hired", shift=shift
        )
        self.two_hands("user/set", admin, form)
        given = self.call("user/credential", admin, CredentialForm(user=user, reason="new"))
        assert isinstance(given, HandedOver)
        self.own_password(given)

    def two_hands(self, name: str, token: str, form: Any, *, second: str = "super") -> Any:
        """Make a call; if it needs a second person, `second` approves it."""
        try:
            return self.call(name, token, form)
        except NotYetError as error:
            if error.code != "second-person":
                raise
        proposed = self.call(name, token, replace(form, propose=True))
        number = next(
            value
            for value in (getattr(proposed, "proposal", -1), getattr(proposed, "entry", -1))
            if value >= 0
        )
        approver = self.logon(second)
        self.call("change/approve", approver, DecideForm(proposal=number, granted=True, reason="known to me"))
        return self.call(name, token, replace(form, approval=number))

    def own_password(self, given: HandedOver) -> None:
        """Log in for the first time: set a password and an authenticator of their own."""
        self.secrets[given.user] = (given.password, secret_of(given))
        token = self.logon(given.user)
        form = PasswordForm(old=given.password, new=PASSWORD)
        self.secrets[given.user] = (PASSWORD, self.renew_authenticator(token, form))
        self.desk.logons.logoff(token)

    def renew_authenticator(self, token: str, form: PasswordForm) -> str:
        """Change a person's password and authenticator, with a code of the new one. Returns its secret."""
        fresh = self.call("user/authenticator", token, NothingForm())
        assert isinstance(fresh, HandedOver)
        secret = secret_of(fresh)
        code = pyotp.TOTP(secret).at(self.clock.us // 1_000_000)
        assert self.call("user/password", token, replace(form, code=code)) == replace(fresh, totp_uri="")
        return secret

    def renew_password(self, user: str) -> None:
        """Change the person's password."""
        token = self.logon(user)
        old = self.secrets[user][0]
        fresh_password = PASSWORD if old != PASSWORD else f"another {PASSWORD}"
        form = PasswordForm(old=old, new=fresh_password)
        fresh = self.call("user/password", token, form)
        assert isinstance(fresh, HandedOver)
        assert fresh.totp_uri == ""  # the authenticator stays
        self.secrets[user] = (fresh_password, self.secrets[user][1])

    def arrive(self, us: int) -> None:
        """Move the clock to a time. If years pass, people renew their passwords and training on the way."""
        while us - self.clock.us > 300 * DAY_US:
            self.clock.step(300 * DAY_US)
            lasting = [one for one, role in PEOPLE.items() if role not in {Role.DESIGNEE, Role.VENDOR}]
            for user in lasting:
                self.renew_password(user)
            self.train(self.logon("chief"), "super", "chief")
            supervisor = self.logon("super")
            for user in lasting:
                if user != "super":
                    self.train(supervisor, user, "super")
        self.clock.us = max(self.clock.us, us)

    def train(self, token: str, user: str, trainer: str) -> None:
        form = TrainingForm(
            user=user,
            trainer=trainer,
            course=COURSE,
            policy_version=self.desk.policy.version,
            topics=TOPICS,
            held_us=self.clock.us - HOUR_US,
        )
        self.call("training/record", token, form)

    def new_root(self, *, signers: int = 2, document: bytes | None = None, **changes: object) -> bytes:
        """A root file that succeeds the one in force, signed by that many offices."""
        keys = [load_ed25519(self.home.path / "root-keys" / f"{name}.key") for name in OFFICES]
        root = replace(self.desk.root, version=self.desk.root.version + 1, **changes)  # type: ignore[arg-type]
        return root_file.assemble(root, [root_file.sign(root, key) for key in keys[:signers]])


def take_call(department: Department, role: str, call: str, *, back: bool = False) -> None:
    """Adopt a policy that takes a call away from a role, or gives it back."""
    version = department.desk.policy.version
    text = department.desk.policy_document.decode()
    text = text.replace(f"version = {version}\n", f"version = {version + 1}\n", 1)
    start = text.index("calls = [", text.index(f'id = "{role}"\n')) + len("calls = [")
    end = text.index("]\n", start)
    calls = f'"{call}",{text[start:end]}' if back else text[start:end].replace(f'"{call}",', "")
    document = (text[:start] + calls + text[end:]).encode()
    root = department.new_root(policy_version=version + 1, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)


def secret_of(given: HandedOver) -> str:
    return parse_qs(urlparse(given.totp_uri).query)["secret"][0]


def open_department(folder: Path, clock: StepClock, secrets: dict[str, tuple[str, str]]) -> Department:
    home = DepartmentHome.open(folder / "home")
    witness = SwitchedWitness(folder / "witness", clock)
    front = open_front(home, clock=clock, link=witness)
    return Department(home=home, front=front, clock=clock, witness=witness, secrets=secrets)


def quick_policy(document: bytes) -> bytes:
    """The next version of a policy file, for tests.

    Passwords cost as little as a policy may set. No mismatch is planted by chance, or one alert in fifty
    would be followed by an alert that the test did not raise; a test plants its own.
    """
    text = document.decode().replace("version = 1\n", "version = 2\n", 1)
    text = text.replace("argon2_memory_kib = 65536", "argon2_memory_kib = 19456")
    text = text.replace("planted_per_thousand = 20 ", "planted_per_thousand = 0 ")
    return text.replace("argon2_passes = 3", "argon2_passes = 2").encode()


def found_department(
    folder: Path, *, day_keys_ahead: int = 3, start_us: int = START_US, with_reads: bool = True
) -> Path:
    """Make a department in `folder` as people do: keys, witness, people, training, reads.

    `start_us`: when the tests begin; the people were entered five days earlier.
    """
    clock = StepClock(start_us - 5 * DAY_US)
    settings = Settings(name="Monrovia Police Department", day_keys_ahead=day_keys_ahead)
    home = found(folder / "home", settings, clocks=Clocks.simulated(clock)).home
    watched = WitnessFolder.create(folder / "witness", "witness.example/monrovia")
    given = first_administrator(home, "chief", "Chief Example", clock=clock)
    department = open_department(folder, clock, {})
    watched.add_log(department.desk.log.note_key)
    document = quick_policy(department.desk.policy_document)
    root = department.new_root(
        witnesses=(
            RootWitness(keys=tuple(one.text() for one in watched.keys), url="https://witness.example"),
        ),
        quorum=1,
        policy_version=2,
        policy_digest=policy_digest(document),
    )
    adopt_root(home, department.desk, root, document)
    department.own_password(given)
    chief = department.logon("chief")
    for user, role in PEOPLE.items():
        if user != "chief":
            department.add_person(chief, user, (role,))
    department.train(chief, "super", "chief")
    supervisor = department.logon("super")
    for user in PEOPLE:
        if user not in {"super", "vendor1"}:
            department.train(supervisor, user, "super")
    _review_the_first_accounts(department)
    names = _deliver_three_days(home, start_us) if with_reads else []
    department.desk.refresh()
    snapshot.write(department.desk.log, department.desk.book)  # each copy of this department opens from it
    with mock.patch.object(followed_log, "SNAPSHOT_EVERY", 1):  # the key service too opens from a snapshot
        show_log(department.front)
    department.close()
    watched.close()
    saved = {"secrets": department.secrets, "reads": names}
    (folder / "secrets.json").write_text(json.dumps(saved))
    return folder


def _deliver_three_days(home: DepartmentHome, start_us: int) -> list[str]:
    """Deliver a unit's reads of the last three days. Returns their names."""
    unit = UnitTwin(home, Ed25519PrivateKey.generate(), "car-7")
    names: list[str] = []
    for day in range(3):
        day_us = start_us - (3 - day) * DAY_US
        passes = [
            Pass(plate=f"7ABC{day}{n:02d}", at_us=day_us + n * MINUTE_US, north_m=n * 100) for n in range(10)
        ]
        passes.append(Pass(plate="8XYZ123", at_us=day_us + HOUR_US, north_m=5000))
        names += unit.deliver(passes, received_us=day_us + 2 * HOUR_US)
    unit.close()
    return names


def _review_the_first_accounts(department: Department) -> None:
    """Close the finding that the administrator made the first approver's account without a second person."""
    (number,) = look_daily(department.front)
    reviewer = department.logon("reviewer1")
    form = AuditCloseForm(finding=number, verdict="justified", note="the first account of the department")
    department.call("audit/close", reviewer, form)


def open_copy(folder: Path) -> Department:
    """Open the department in a copied folder, a few days later."""
    saved = json.loads((folder / "secrets.json").read_text())
    secrets = {user: (str(password), str(totp)) for user, (password, totp) in saved["secrets"].items()}
    department = open_department(folder, StepClock(), secrets)
    department.reads = tuple(saved["reads"])
    return department
