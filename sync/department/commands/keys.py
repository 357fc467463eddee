"""`department keys`: the root file's ceremony, and the key service on a machine of its own."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import files
from storage.errors import StorageError
from sync import root_file
from sync.department.commands import desk_access as desk
from sync.department.commands.out_files import folder, write_new
from sync.department.content.key_service import LocalKeyService
from sync.department.desk.context import Front
from sync.department.desk.state import checked_policy
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.ground.ports import demand_free
from sync.department.policy import terms as policy_file
from sync.department.server.open_desk import POLICY_FILE, adopt_root, open_front, root_in
from sync.errors import ConfigError, SyncError


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parent = desk.verbs(
        subparsers, "keys", "the root file (2 of 3 offline keys) and the key service", "department keys root"
    )
    desk.verb(parent, "root", "show the root file in force", "department keys root", asks=False)
    desk.verb(
        parent,
        "policy",
        "print the policy file in force, as it lies",
        "department keys policy > next.toml",
        asks=False,
    )
    one = desk.verb(
        parent, "draft", "draft the next root file", "department keys draft --out next.root", asks=False
    )
    one.add_argument("--out", type=Path, required=True)
    one.add_argument(
        "--witness", default="", help="the witness's key, as `department witness init` printed it"
    )
    one.add_argument("--witness-url", default="", help="https://..., or folder:/path for a demo")
    one.add_argument("--policy", type=Path, help="a new policy file, of a higher version")
    one.add_argument(
        "--office",
        action="append",
        default=[],
        metavar="HOLDER=KEY",
        help="replace this office's root key, as `department keys new` printed it; two old and two new sign",
    )
    one = desk.verb(
        parent,
        "new",
        "make a root key, at the office that will keep it; prints its public half",
        "department keys new --out spare.key",
        asks=False,
    )
    one.add_argument("--out", type=Path, required=True, metavar="FILE", help="on a medium of its own")
    one = desk.verb(
        parent,
        "sign",
        "sign a draft, at the office that keeps the key",
        "department keys sign next.root --key administrator.key",
        asks=False,
    )
    one.add_argument("file", type=Path)
    one.add_argument("--key", type=Path, required=True, help="the office's key file")
    one = desk.verb(
        parent, "adopt", "put a signed root file in force", "department keys adopt next.root", asks=False
    )
    one.add_argument("file", type=Path)
    one.add_argument("--policy", type=Path, help="the policy file that it names, if that changes")
    one = desk.verb(
        parent,
        "serve",
        "run the key service here",
        "department keys serve --folder /srv/keys --root root.cbor --certificate chain.pem --tls-key key.pem",
        asks=False,
    )
    one.add_argument("--folder", type=Path, required=True, help="the key service's home, on this machine")
    one.add_argument(
        "--root", type=Path, required=True, help="the department's root file, as this machine trusts it"
    )
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=8466)
    one.add_argument("--certificate", type=Path, required=True, help="PEM chain for HTTPS")
    one.add_argument("--tls-key", type=Path, required=True)
    one.add_argument("--fips", action="store_true", help="approved algorithms only in TLS")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.verb == "serve":
        return _serve(args)
    if args.verb == "sign":
        _sign(args)
    elif args.verb == "new":
        made = Ed25519PrivateKey.generate()
        write_new(args.out, made.private_bytes_raw())
        print(made.public_key().public_bytes_raw().hex())
    else:
        home = DepartmentHome.open(args.home)
        {"root": _root, "policy": _policy, "draft": _draft, "adopt": _adopt}[args.verb](home, args)
    return 0


def _sign(args: argparse.Namespace) -> None:
    signed = root_file.add_signature(desk.read_bytes(args.file), load_ed25519(args.key))
    files.replace(args.file, signed)
    root, holders = root_file.describe(signed)
    print(f"version {root.version}: signed by {', '.join(holders)}; {root_file.THRESHOLD} are needed")


def _root(home: DepartmentHome, _args: argparse.Namespace) -> None:
    root, holders = root_file.describe(home.root_file.read_bytes())
    print(f"version {root.version}, SHA-256 {root.digest().hex()}, signed by {', '.join(holders)}")
    print(f"policy version {root.policy_version}, witness {root.witness or 'none'} {root.witness_url}")
    for key in root.keys:
        print(f"root key of {key.holder}: {key.public.hex()}")


def _policy(home: DepartmentHome, _args: argparse.Namespace) -> None:
    document = desk.read_bytes(home.path / POLICY_FILE)
    checked_policy(root_in(home), document)
    print(document.decode(), end="")


def _draft(home: DepartmentHome, args: argparse.Namespace) -> None:
    document = desk.read_bytes(args.policy or home.path / POLICY_FILE)
    root = root_in(home)
    draft = replace(
        root,
        version=root.version + 1,
        created_us=time.time_ns() // 1000,
        policy_version=policy_file.parse(document).version,
        policy_digest=policy_file.digest(document),
        witness=args.witness or root.witness,
        witness_url=args.witness_url or root.witness_url,
        keys=_offices(root.keys, args.office),
    )
    write_new(args.out, root_file.assemble(draft, []))
    print(f"{args.out}: version {draft.version}, unsigned; two offices sign it: department keys sign")


def _adopt(home: DepartmentHome, args: argparse.Namespace) -> None:
    document = desk.read_bytes(args.policy or home.path / POLICY_FILE)
    front = open_front(home)
    try:
        root = adopt_root(home, front.desk, desk.read_bytes(args.file), document)
        _tell_units(front)
    finally:
        front.close()
    print(f"root version {root.version} is in force, policy version {root.policy_version}")


def _offices(keys: tuple[root_file.RootKey, ...], changes: list[str]) -> tuple[root_file.RootKey, ...]:
    """The three offices with the keys that are replaced. Raises ConfigError."""
    known = {one.holder: one.public for one in keys}
    for change in changes:
        holder, _, text = change.partition("=")
        try:
            public = bytes.fromhex(text)
        except ValueError:
            public = b""
        if holder not in known or len(public) != 32:
            raise ConfigError(
                "names an office and its new key", where="--office", cure="one of " + ", ".join(known)
            )
        known[holder] = public
    return tuple(root_file.RootKey(holder=holder, public=public) for holder, public in known.items())


def _tell_units(front: Front) -> None:
    """A policy that changed goes down at once; where it cannot, the server tries again every day."""
    try:
        if sent := front.send_down():
            print(f"units are offered a new {', '.join(sent)}")
    except SyncError as error:
        print(f"department: units are not told yet: {error}", file=sys.stderr)


def _serve(args: argparse.Namespace) -> int:
    import uvicorn  # noqa: PLC0415 - only where a key service runs

    from sync.department.content.key_remote import TOKEN_FILE, key_app  # noqa: PLC0415
    from sync.department.ground.tls import tls_context  # noqa: PLC0415

    try:
        root = desk.read_bytes(args.root)
        root_file.describe(root)
    except StorageError as error:
        raise ConfigError(f"is no root file: {error}", where=str(args.root)) from None
    context = tls_context(args.certificate, args.tls_key, approved=args.fips)
    demand_free(args.host, args.port, "--port")
    folder(args.folder)
    token_file = args.folder / TOKEN_FILE
    if not token_file.exists():
        files.write_new(token_file, secrets.token_hex(32).encode())
        files.sync_dir(args.folder)
        print(f"put the content of {token_file} into the department's keys.remote", file=sys.stderr)
    service = LocalKeyService(args.folder)
    app = key_app(service, root, token_file.read_text().strip())
    print(f"key service on {args.host}:{args.port}; Ctrl-C ends", file=sys.stderr, flush=True)
    uvicorn.run(
        app,
        host=args.host,
        port=args.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        ssl_context_factory=lambda _config, _default: context,
    )
    service.close()
    return 0
