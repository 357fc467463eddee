"""`department grant`: maintenance grants for technicians and vendors, a designee's delegation, and
revocation.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import codec, envelope, files
from storage.grant_format import (
    COMMANDS,
    DAY_US,
    FORMAT,
    REPAIR_COMMANDS,
    Bundle,
    Delegation,
    Grant,
    GrantRole,
    delegate,
    issue,
)
from storage.ssh_signature import SshPublicKey
from sync.department import down
from sync.department.home import DepartmentHome, load_ed25519
from sync.department.server import Department
from sync.documents import Carried, context_of
from sync.errors import ConfigError

REVOCATIONS = "revocations"
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
    one = what.add_parser("issue", help="sign a grant", epilog="example: department grant issue --help")
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
        "--until", metavar="DATE", help="end of training or roster entry, YYYY-MM-DD: ends there at latest"
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
        epilog="example: department grant delegate --help",
    )
    two.add_argument("--designee", required=True, help="user name")
    two.add_argument("--days", type=int, default=30)
    two.add_argument(
        "--key-out", required=True, type=Path, metavar="FILE", help="the designee's new key, 0600"
    )
    two.add_argument("--out", required=True, type=Path, metavar="FILE", help="the delegation")
    three = what.add_parser(
        "revoke", help="take grants back", epilog="example: department grant revoke t.okafor"
    )
    three.add_argument("names", nargs="+", metavar="NAME", help="grant id, person, or SHA256:... of a key")


def run(args: argparse.Namespace) -> int:
    """Issue, delegate or revoke."""
    home = DepartmentHome.open(args.home)
    if args.deed == "issue":
        return _issue(home, args)
    if args.deed == "delegate":
        return _delegate(home, args)
    return _revoke(home, args)


def _issue(home: DepartmentHome, args: argparse.Namespace) -> int:
    role = GrantRole(args.role)
    designee = args.designee_key is not None
    if designee != (args.delegation is not None):
        raise ConfigError("--designee-key and --delegation belong together")
    now_us = time.time_ns() // 1000
    to_us = now_us + _length_us(args.life or ("4h" if designee else DEFAULT_LIFE[role]))
    if args.until is not None:
        to_us = min(to_us, _end_of(args.until))
    offered = REPAIR_COMMANDS if designee else COMMANDS - {"factory-reset"}
    grant = Grant(
        format=FORMAT,
        grant_id=secrets.token_hex(16),
        person=args.person,
        organisation=args.organisation,
        role=role,
        holder_key=SshPublicKey.from_line(_text(args.key)).blob,
        purpose=args.purpose,
        work_order=args.work_order,
        units=tuple(_unit_ids(home, args.unit)),
        commands=tuple(sorted(set(args.commands or offered))),
        issued_us=now_us,
        from_us=now_us,
        to_us=to_us,
        destroy_up_to=args.destroy_up_to,
        destroy_holds=tuple(args.destroy_hold),
    )
    if designee:
        bundle = issue(grant, load_ed25519(args.designee_key), delegation=args.delegation.read_bytes())
    else:
        bundle = issue(grant, load_ed25519(home.path / "command.key"))
    args.out.write_bytes(bundle.to_bytes())
    _tell(args, grant, bundle)
    return 0


def _tell(args: argparse.Namespace, grant: Grant, bundle: Bundle) -> None:
    ends = datetime.fromtimestamp(grant.to_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if args.json:
        facts = {"grant": grant.grant_id, "person": grant.person, "ends": ends, "file": str(args.out)}
        print(json.dumps(facts | {"digest": bundle.digest.hex()}))
        return
    print(f"grant {grant.grant_id} for {grant.person} ({grant.role}) until {ends}")
    print(f"commands: {' '.join(grant.commands)}")
    print(f"written to {args.out}; the holder runs: reader grant --grant {args.out.name} --key KEY CHALLENGE")


def _delegate(home: DepartmentHome, args: argparse.Namespace) -> int:
    now_us = time.time_ns() // 1000
    key = Ed25519PrivateKey.generate()
    made = Delegation(
        format=FORMAT,
        designee=args.designee,
        public_key=key.public_key().public_bytes_raw(),
        from_us=now_us,
        to_us=now_us + args.days * DAY_US,
    )
    signed = delegate(made, load_ed25519(home.path / "command.key"))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files.replace(args.key_out, pem)
    args.out.write_bytes(signed)
    print(
        f"{args.designee} may sign repair grants of up to 4 hours for {args.days} days, with {args.key_out}"
    )
    return 0


def _revoke(home: DepartmentHome, args: argparse.Namespace) -> int:
    command = load_ed25519(home.path / "command.key")
    now_us = time.time_ns() // 1000
    department = Department(home)
    try:
        with department.store.write() as connection:
            version = down.version_out(connection, REVOCATIONS)
            names = sorted({*_revoked(home, command.public_key()), *args.names})
            body = Carried(
                name=REVOCATIONS, version=version + 1, unit_id="", issued_us=now_us, expires_us=None,
                body=envelope.encode(names),
            )  # fmt: skip
            message = down.sign_document(REVOCATIONS, codec.to_bytes(body), command)
            down.publish(connection, REVOCATIONS, version + 1, message, now_us)
            files.replace(home.path / "revocations.cbor", message)
    finally:
        department.close()
    print(f"{len(args.names)} taken back, {len(names)} in all; units learn it with their next sync")
    return 0


def _revoked(home: DepartmentHome, command: Ed25519PublicKey) -> list[str]:
    path = home.path / "revocations.cbor"
    if not path.exists():
        return []
    payload = envelope.open_signed(path.read_bytes(), command, context=context_of(REVOCATIONS))
    names: list[str] = envelope.decode(codec.from_bytes(Carried, payload).body)
    return names


def _unit_ids(home: DepartmentHome, names: list[str]) -> list[str]:
    """The ids of enrolled units by id or name. Raises ConfigError for one that is not known."""
    department = Department(home)
    try:
        listed = department.enrolment.listed()
    finally:
        department.close()
    by_name = {unit.name: unit.unit_id for unit in listed} | {unit.unit_id: unit.unit_id for unit in listed}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ConfigError(f"no such unit: {', '.join(unknown)}", cure="see: department enrol --list")
    return [by_name[name] for name in names]


def _length_us(text: str) -> int:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text} is no length: write hours or days, e.g. 8h or 14d", where="--for")
    return round(timedelta(hours=int(match[1]) * _HOURS[match[2]]).total_seconds() * 1e6)


def _end_of(day: str) -> int:
    try:
        moment = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{day} is no day: write YYYY-MM-DD", where="--until") from None
    return round((moment + timedelta(days=1)).timestamp() * 1e6)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")[:2000]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from None
