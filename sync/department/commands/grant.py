"""`department grant`: maintenance grants for technicians and vendors, a designee's delegation, revocation.

Where the department has a desk, whoever asks is proven there and the grant is an entry of its log. Before the
first administrator there is none, and the command key alone signs.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from storage.grant_format import (
    COMMANDS,
    FORMAT,
    REPAIR_COMMANDS,
    Bundle,
    Grant,
    GrantRole,
    issue,
)
from storage.ssh_signature import SshPublicKey
from sync.department.commands import desk_access as desk
from sync.department.commands.out_files import new_file
from sync.department.desk.desk import FOLDER
from sync.department.desk.grants import calls as forms
from sync.department.desk.grants.revoking import RevokeForm
from sync.department.desk.grants.signer import GrantOffice
from sync.department.desk.inquiry.calls import NothingForm
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.ground.local_time import end_of_day_us
from sync.department.journal.access_log import DATABASE
from sync.department.policy import terms as policy_file
from sync.department.server.open_desk import POLICY_FILE
from sync.department.server.server import Department
from sync.errors import ConfigError

_LENGTH = re.compile(r"(\d{1,4})([hd])")
_HOURS = {"h": 1, "d": 24}
DEFAULT_LIFE = {GrantRole.TECHNICIAN: "365d", GrantRole.VENDOR: "8h"}


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "grant",
        help="let a technician or vendor into units' consoles; revoke; delegate",
        description="Signs a maintenance grant with the command key: who (an SSH key), what for, which "
        "units and commands, from when to when. A technician's grant lasts up to 366 days and ends with the "
        "training; a vendor's lasts up to 14. With --designee-key a designee signs up to 4 hours of repair.",
        epilog="example: department grant issue --person t.okafor --role technician --key t.okafor.pub "
        "--purpose 'yearly service' --work-order WO-118 --unit car-12 --out t.okafor.grant",
    )
    what = parser.add_subparsers(dest="deed", metavar="DEED", required=True)
    one = what.add_parser(
        "issue",
        help="sign a grant",
        epilog="example: department grant issue --person v.ito --role vendor --key v.pub --purpose lens "
        "--work-order WO-9 --unit car-12 --for 8h --out v.grant --user chief",
    )
    one.add_argument("--person", required=True, help="user name of the holder")
    one.add_argument("--organisation", default="the department")
    one.add_argument("--role", required=True, choices=[str(role) for role in GrantRole])
    one.add_argument(
        "--key", required=True, type=Path, metavar="PUB", help="the holder's SSH public key file"
    )
    one.add_argument("--purpose", required=True)
    one.add_argument("--work-order", required=True)
    one.add_argument(
        "--unit", required=True, action="append", help="unit id or name; more than once for several"
    )
    one.add_argument(
        "--command", action="append", dest="commands", choices=sorted(COMMANDS), help="default: see role"
    )
    one.add_argument("--for", dest="life", metavar="LENGTH", help="e.g. 8h, 14d, 365d")
    one.add_argument(
        "--until",
        metavar="DATE",
        help="end of training or roster entry, YYYY-MM-DD by the department's clock: ends with that day",
    )
    one.add_argument(
        "--destroy-up-to", type=int, default=0, metavar="N", help="factory-reset: unacknowledged up to N"
    )
    one.add_argument(
        "--destroy-hold", type=int, action="append", default=[], metavar="N", help="and this hold"
    )
    one.add_argument("--designee-key", type=Path, metavar="FILE", help="sign with this delegated key instead")
    one.add_argument("--delegation", type=Path, metavar="FILE", help="the delegation that goes with it")
    one.add_argument("--out", required=True, type=Path, metavar="FILE", help="where the grant goes")
    two = what.add_parser(
        "delegate",
        help="let a designee sign repair grants",
        epilog="example: department grant delegate --designee deputy --key-out deputy.key --out deputy.lent "
        "--user chief",
    )
    two.add_argument("--designee", required=True, help="user name")
    two.add_argument("--days", type=int, default=30)
    two.add_argument(
        "--key-out", required=True, type=Path, metavar="FILE", help="the designee's new key, 0600"
    )
    two.add_argument("--out", required=True, type=Path, metavar="FILE", help="the delegation")
    three = what.add_parser(
        "revoke",
        help="take grants back, for good: a person or a key gets no other one",
        epilog="example: department grant revoke t.okafor --why left --user chief",
    )
    three.add_argument("names", nargs="+", metavar="NAME", help="grant id, person, or SHA256:... of a key")
    three.add_argument("--why", default="", help="the reason, for the record")
    four = what.add_parser(
        "list", help="grants, newest first", epilog="example: department grant list --user chief"
    )
    five = what.add_parser(
        "enter",
        help="enter a grant that a designee signed with --designee-key elsewhere",
        epilog="example: department grant enter night.grant --user deputy",
    )
    five.add_argument("file", type=Path)
    for deed in (one, two, three, four, five):
        deed.add_argument(
            "--user",
            dest="as_user",
            metavar="USER",
            help=f"who asks the desk (unless {desk.TOKEN} is set)",
        )


def run(args: argparse.Namespace) -> int:
    """Issue, delegate, revoke, list or enter."""
    home = DepartmentHome.open(args.home)
    at_desk = (home.path / FOLDER / DATABASE).is_file()
    if args.deed == "list":
        columns = ("grant_id", "person", "role", "unit_names", "work_order", "to_us", "signer", "state")
        desk.show(args, desk.call(args, "grant/list", NothingForm()), columns)
    elif args.deed == "enter":
        desk.show(args, desk.call(args, "grant/enter", forms.SignedForm(bundle=desk.read_bytes(args.file))))
    elif args.deed == "issue" and args.designee_key is None and args.delegation is None and at_desk:
        _ask(home, args)
    elif args.deed == "issue":
        _sign(home, args, at_desk=at_desk)
    elif args.deed == "delegate":
        _delegate(home, args, at_desk=at_desk)
    else:
        _revoke(home, args, at_desk=at_desk)
    return 0


def _ask(home: DepartmentHome, args: argparse.Namespace) -> None:
    """The administrator lets somebody in, at the desk."""
    form = forms.GrantForm(
        person=args.person,
        organisation=args.organisation,
        role=GrantRole(args.role),
        holder_key=_text(args.key),
        purpose=args.purpose,
        work_order=args.work_order,
        units=tuple(args.unit),
        commands=tuple(args.commands or ()),
        to_us=_ends(home, args, time.time_ns() // 1000, GrantRole(args.role)),
        destroy_up_to=args.destroy_up_to,
        destroy_holds=tuple(args.destroy_hold),
    )
    with new_file(args.out) as out:
        made = desk.call(args, "grant/issue", form)
        out.fill(made.bundle)
    _tell(args, made.grant_id, made.to_us, made.commands, Bundle.parse(made.bundle))


def _ends(
    home: DepartmentHome, args: argparse.Namespace, now_us: int, role: GrantRole, *, designee: bool = False
) -> int:
    to_us = now_us + _length_us(args.life or ("4h" if designee else DEFAULT_LIFE[role]))
    if args.until is None:
        return to_us
    return min(to_us, _end_of(args.until, policy_file.parse(desk.read_bytes(home.path / POLICY_FILE)).zone))


def _sign(home: DepartmentHome, args: argparse.Namespace, *, at_desk: bool) -> None:
    """Sign here: a designee with his key, or the command key where there is no desk yet."""
    role = GrantRole(args.role)
    designee = args.designee_key is not None
    if designee != (args.delegation is not None):
        raise ConfigError("--designee-key and --delegation belong together")
    now_us = time.time_ns() // 1000
    offered = REPAIR_COMMANDS if designee else COMMANDS - {"factory-reset"}
    department = Department(home)
    try:
        units = GrantOffice(home, department.store).unit_ids(args.unit)
    finally:
        department.close()
    grant = Grant(
        format=FORMAT,
        grant_id=secrets.token_hex(16),
        person=args.person,
        organisation=args.organisation,
        role=role,
        holder_key=SshPublicKey.from_line(_text(args.key)).blob,
        purpose=args.purpose,
        work_order=args.work_order,
        units=units,
        commands=tuple(sorted(set(args.commands or offered))),
        issued_us=now_us,
        from_us=now_us,
        to_us=_ends(home, args, now_us, role, designee=designee),
        destroy_up_to=args.destroy_up_to,
        destroy_holds=tuple(args.destroy_hold),
    )
    with new_file(args.out) as out:
        if designee:
            lent = desk.read_bytes(args.delegation)
            bundle = issue(grant, load_ed25519(args.designee_key), delegation=lent)
            if at_desk:
                desk.call(args, "grant/enter", forms.SignedForm(bundle=bundle.to_bytes()))
        else:
            bundle = issue(grant, load_ed25519(home.path / "command.key"))
        out.fill(bundle.to_bytes())
    _tell(args, grant.grant_id, grant.to_us, grant.commands, bundle)


def _tell(
    args: argparse.Namespace, grant_id: str, to_us: int, commands: tuple[str, ...], bundle: Bundle
) -> None:
    ends = datetime.fromtimestamp(to_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if args.json:
        facts = {"grant": grant_id, "person": args.person, "ends": ends, "file": str(args.out)}
        print(json.dumps(facts | {"digest": bundle.digest.hex()}))
        return
    print(f"grant {grant_id} for {args.person} ({args.role}) until {ends}")
    print(f"commands: {' '.join(commands)}")
    print(f"written to {args.out}; the holder runs: reader grant --grant {args.out.name} --key KEY CHALLENGE")


def _delegate(home: DepartmentHome, args: argparse.Namespace, *, at_desk: bool) -> None:
    with new_file(args.key_out) as key_out, new_file(args.out) as out:
        if at_desk:
            lent = desk.call(args, "grant/lend", forms.LendForm(designee=args.designee, days=args.days))
            signed, key = lent.delegation, lent.key
        else:
            department = Department(home)
            try:
                office = GrantOffice(home, department.store)
                _, signed, key = office.lend(args.designee, args.days, time.time_ns() // 1000)
            finally:
                department.close()
        key_out.fill(key)
        out.fill(signed)
    if args.json:
        facts = {
            "designee": args.designee,
            "days": args.days,
            "key": str(args.key_out),
            "file": str(args.out),
        }
        print(json.dumps(facts))
        return
    print(
        f"{args.designee} may sign repair grants of up to 4 hours for {args.days} days, with {args.key_out}"
    )


def _revoke(home: DepartmentHome, args: argparse.Namespace, *, at_desk: bool) -> None:
    if at_desk:
        form = RevokeForm(names=tuple(args.names), reason=args.why)
        revoked = desk.call(args, "grant/revoke", form)
        if args.json:
            desk.show(args, revoked)
            return
        none = " (none of the log's: is the name right?)" if not revoked.ended else ""
        print(f"grants in force taken back: {revoked.ended}{none}")
        count = revoked.names
    else:
        department = Department(home)
        try:
            count = GrantOffice(home, department.store).revoke(args.names, time.time_ns() // 1000)
        finally:
            department.close()
    print(f"{count} names stand in the list of what was taken back; units learn it with their next sync")


def _length_us(text: str) -> int:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text} is no length: write hours or days, e.g. 8h or 14d", where="--for")
    return round(timedelta(hours=int(match[1]) * _HOURS[match[2]]).total_seconds() * 1e6)


def _end_of(day: str, zone: tzinfo) -> int:
    try:
        moment = datetime.strptime(day, "%Y-%m-%d")
    except ValueError:
        raise ConfigError(f"{day} is no day: write YYYY-MM-DD", where="--until") from None
    return end_of_day_us(moment, zone)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")[:2000]
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"cannot be read: {what}", where=str(path)) from None
