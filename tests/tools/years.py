"""Lives a department through simulated years by its own clock, and prints what each year required of people.

    python tests/tools/years.py --years 5

Every day the server does its daily work: it renews certificates, purges, makes entries, looks for misuse and
sends documents to units. People act only on what `compliance` showed beforehand; each act is counted with its
reason. Two more things happen: in year 2 an office changes its root key, and in year 3 the administrator is
gone with password and phone, so that two offices name another. The run ends with status 1 if anything is
overdue, the clock is in doubt, or no witness saw an answer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

TWINS = Path(__file__).resolve().parent.parent / "twins"
sys.path[:0] = [str(TWINS), str(TWINS.parent.parent)]

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from desk_twins import (  # noqa: E402
    GROUND,
    START_US,
    Department,
    StepClock,
    SwitchedWitness,
    found_department,
    open_copy,
)
from desk_units import Pass, UnitTwin  # noqa: E402
from sqlalchemy import update  # noqa: E402

from storage import files  # noqa: E402
from storage.times import DAY_US, HOUR_US, day_text, utc_text  # noqa: E402
from sync import root_file  # noqa: E402
from sync.department.desk.audit.calls import AuditCloseForm, PeriodForm  # noqa: E402
from sync.department.desk.inquiry.forms import Answer, FileForm, RunForm  # noqa: E402
from sync.department.desk.machine.calls import PurgeForm  # noqa: E402
from sync.department.desk.people.calls import AccountForm  # noqa: E402
from sync.department.ground.department_time import Clocks  # noqa: E402
from sync.department.ground.home import load_ed25519  # noqa: E402
from sync.department.journal import check_log, named_administrator  # noqa: E402
from sync.department.policy.policy_file import policy_digest  # noqa: E402
from sync.department.server import daily, naming  # noqa: E402
from sync.department.server.desk_keys import opened_of  # noqa: E402
from sync.department.server.due_work import DueWork, standing  # noqa: E402
from sync.department.server.folded_log import FoldedLog  # noqa: E402
from sync.department.server.founding import OFFICES  # noqa: E402
from sync.department.server.open_desk import adopt_root, open_front  # noqa: E402
from sync.department.server.server import Department as Server  # noqa: E402
from sync.department.server.server import renew_server  # noqa: E402
from sync.department.server.verify import Checker  # noqa: E402
from sync.department.store.tables import units  # noqa: E402

MEMORY = "/dev/shm"  # noqa: S108 - every entry is synced: no need for a disk here
FORGIVEN = {"health"}  # a unit's twin sends no health reports


class StoppedError(Exception):
    """The department cannot continue: people did what it asked, and something is overdue or wrong."""


@dataclass
class Year:
    """What one year required of people, and what was done."""

    acts: Counter[str] = field(default_factory=Counter)
    purged: int = 0
    renewed: int = 0
    searches: int = 0


class Life:
    """One department with its people, its unit and its witness, all by one simulated clock."""

    def __init__(self, folder: Path, step_days: int) -> None:
        self.folder, self.step_days = folder, step_days
        found_department(folder, day_keys_ahead=400)
        opened = open_copy(folder)
        self.clock: StepClock = opened.clock
        self.clock.us = max(self.clock.us, START_US)
        home = opened.home
        opened.close()
        opened.witness.close()
        self.server = Server(home, Clocks.simulated(self.clock))
        if not self.server.time.accept(self.clock.us):
            raise StoppedError("the clock was not believed at the start")
        self.department = Department(
            home=home,
            front=open_front(
                home,
                store=self.server.store,
                keys=self.server.keys,
                packs=self.server.packs,
                clock=self.server.time,
                link=SwitchedWitness(folder / "witness", self.clock),
            ),
            clock=self.clock,
            witness=SwitchedWitness(folder / "witness", self.clock),
            secrets=opened.secrets,
        )
        self.unit = UnitTwin(home, Ed25519PrivateKey.generate(), "car-8")
        self.chief = "chief"
        self.year = Year()
        self.told: set[str] = set()
        self.notices: list[str] = []

    def close(self) -> None:
        self.unit.close()
        self.department.close()
        self.department.witness.close()
        self.server.close()

    # a day -----------------------------------------------------------------------------------------------

    def live(self, day: int) -> None:
        """Step the clock; let the server and the people do what is due."""
        self.clock.us += self.step_days * DAY_US
        self._unit_speaks()
        before = self.server.authority.certificate.serial_number
        renew_server(self.server, ())
        self.year.renewed += before != self.server.authority.certificate.serial_number
        self.year.purged += len(self.server.retain())
        daily.run(self.department.front, self.server.retention, [self.notices.extend])
        if day % 7 < self.step_days:
            self._search()
        now = standing(self.department.front)
        if self._act_on(now):
            now = standing(self.department.front)
        left = [one for one in now.overdue if one.kind not in FORGIVEN]
        if left:
            raise StoppedError(f"{utc_text(self.clock.us, to='day')}: {left[0].kind}: {left[0].what}")

    def _unit_speaks(self) -> None:
        self.unit.deliver([Pass(plate="8XYZ123", at_us=self.clock.us - HOUR_US)], received_us=self.clock.us)
        with self.server.store.write() as connection:
            connection.execute(update(units).values(seen_us=self.clock.us))

    def _search(self) -> None:
        department = self.department
        token = department.logon("comm1")
        query = replace(department.plate("8XYZ123"), since_us=self.clock.us - 2 * DAY_US)
        answer = department.call("inquiry/run", token, RunForm(query=query, ground=GROUND))
        if not isinstance(answer, Answer) or answer.unwitnessed or not answer.count:
            raise StoppedError(
                f"{utc_text(self.clock.us, to='day')}: a search was not answered as it must be"
            )
        number = f"ALPR-{answer.access}"
        department.call("inquiry/file", token, FileForm(access=answer.access, rms_number=number))
        self.year.searches += 1

    # people ----------------------------------------------------------------------------------------------

    def _act_on(self, now: DueWork) -> bool:
        """Do what people do for each line of `compliance`; returns whether they did anything."""
        before = self.year.acts.total()
        if self.step_days > 1 and any(one.kind == "purge" for one in now.overdue):
            self._allow_purge()  # a clock that moves in larger steps leaves a backlog
            self.year.acts["purge backlog"] += 1
        for notice in now.ending:
            who = notice.about
            if notice.kind == "password":
                self.department.renew_password(who)
            elif notice.kind in {"training", "policy-training"}:
                self._train(who)
            elif notice.kind == "designation":
                self._designate(who)
            elif notice.kind == "audit":
                self.department.call("audit/run", self.department.logon("super"), PeriodForm())
            elif notice.kind == "policy":
                self._adopt_policy()
            else:
                continue  # certificates and day keys: the server's own work, which the next day must show
            self.year.acts[notice.kind] += 1
        self._close_findings()
        return self.year.acts.total() > before

    def _allow_purge(self) -> None:
        due = self.clock.us // DAY_US - 1 - self.department.desk.policy.retention.keep_days
        form = PurgeForm(through=day_text(due), reason="the simulated clock moves in larger steps")
        self.department.two_hands("backlog/allow", self.department.logon(self.chief), form)
        self.year.purged += len(self.server.retention.run(self.department.desk.book.purge_through))
        daily.enter_purges(self.department.desk, self.server.retention)

    def _train(self, who: str) -> None:
        trainer = self.chief if who == "super" else "super"
        self.department.train(self.department.logon(trainer), who, trainer)

    def _designate(self, who: str) -> None:
        account = self.department.desk.book.roster.accounts[who]
        form = AccountForm(
            user=who,
            name=account.name,
            organisation=account.organisation,
            roles=account.roles,
            reason="designated again",
        )
        self.department.two_hands("user/set", self.department.logon(self.chief), form)

    def _adopt_policy(self) -> None:
        """Review the policy, and adopt it under the next version."""
        department, desk = self.department, self.department.desk
        version = desk.policy.version
        document = desk.policy_document.replace(
            f"version = {version}\n".encode(), f"version = {version + 1}\n".encode(), 1
        )
        root = department.new_root(policy_version=version + 1, policy_digest=policy_digest(document))
        adopt_root(department.home, desk, root, document)

    def _close_findings(self) -> None:
        for entry in self.department.desk.book.findings.open_findings():
            reviewer = getattr(entry.note, "reviewer", "")
            form = AuditCloseForm(
                finding=entry.sequence, verdict="justified", note="looked at with the person"
            )
            self.department.call("audit/close", self.department.logon(reviewer), form)
            self.year.acts["finding"] += 1

    # what is planned ---------------------------------------------------------------------------------------

    def change_office_key(self) -> None:
        """Give an office a new root key: two old keys and two new ones sign."""
        department = self.department
        folder = department.home.path / "root-keys"
        fresh = Ed25519PrivateKey.generate()
        old = [load_ed25519(folder / f"{name}.key") for name in OFFICES]
        root = department.desk.root
        keys = tuple(
            root_file.RootKey(holder=one.holder, public=fresh.public_key().public_bytes_raw())
            if one.holder == OFFICES[2]
            else one
            for one in root.keys
        )
        following = replace(root, version=root.version + 1, keys=keys)
        signatures = [root_file.sign(following, key) for key in (old[0], old[1], fresh)]
        adopt_root(
            department.home,
            department.desk,
            root_file.assemble(following, signatures),
            department.desk.policy_document,
        )
        files.replace(folder / f"{OFFICES[2]}.key", fresh.private_bytes_raw())
        self.year.acts["root key"] += 1

    def lose_administrator(self) -> None:
        """Lose the administrator with password and phone: two offices name another."""
        department = self.department
        data = naming.draft(department.desk, "newchief", "N. Chief")
        for name in OFFICES[1:]:
            data = named_administrator.add_signature(
                data, load_ed25519(department.home.path / "root-keys" / f"{name}.key")
            )
        department.own_password(naming.name_administrator(department.desk, data))
        self.chief = "newchief"
        self._train("newchief")
        self.year.acts["administrator"] += 1

    # the verdict -------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """What `department verify` finds at the end."""
        desk, home = self.department.desk, self.department.home
        public = home.log_key().public_key()
        report = Checker(self.server.store, self.server.keys, self.server.packs, public).run(content=False)
        twin = ("vouch", "not co-signed")  # a unit's twin has no unit key and asks for no co-signature
        wrong = [one for one in report.problems if not any(word in one for word in twin)]
        log = check_log.check(
            desk.log.folder,
            public,
            witnesses=desk.root.witnessing(),
            checkpoints=[self.department.witness.newest(desk.log.origin)],
            keys=desk.log.keys,
            opened=opened_of(home, desk.root),
        )
        folded = FoldedLog({home.settings.name})
        for entry in desk.log.entries():
            folded.judge(entry)
        folded.end()
        return [*wrong, *log.problems, *folded.problems]


def simulate(years: int, *, step_days: int = 1, folder: Path | None = None) -> list[Year]:
    """Live through ``years`` years; returns each one's tally. Raises StoppedError."""
    memory = MEMORY if Path(MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as temporary:
        life = Life(folder or Path(temporary), step_days)
        tallies = []
        try:
            for number in range(years):
                life.year = Year()
                for day in range(0, 365, step_days):
                    life.live(day)
                    if number == 1 and day < step_days:
                        life.change_office_key()
                    if number == 2 and day < step_days:
                        life.lose_administrator()
                tallies.append(life.year)
                print(told(number, life), flush=True)
            problems = life.problems()
            if problems:
                raise StoppedError(f"verify: {problems[0]} ({len(problems)} in all)")
        finally:
            life.close()
    return tallies


def told(number: int, life: Life) -> str:
    """One year as a line."""
    year = life.year
    acts = ", ".join(f"{kind} {count}" for kind, count in sorted(year.acts.items()))
    return (
        f"year {number + 1}: {life.department.desk.log.size()} entries, {year.searches} searches, "
        f"{year.purged} days purged, CA renewed {year.renewed} times; people: {acts}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns 1 if the department stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--step-days", type=int, default=1)
    args = parser.parse_args(argv)
    try:
        simulate(args.years, step_days=args.step_days)
    except StoppedError as error:
        print(f"STOPPED {error}")
        return 1
    print("the department lived on, and verifies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
