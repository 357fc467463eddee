"""`department keys`: the root file's ceremony, and the key service on a separate machine."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import files
from storage.counts import counted
from storage.errors import RecordError, StorageError
from storage.times import day_text
from sync import root_file
from sync.command_frame import Common, noun
from sync.department.commands import given_files
from sync.department.commands.out_files import folder as private_folder
from sync.department.commands.out_files import write_new
from sync.department.content.key_remote import address_of
from sync.department.content.key_service import LocalKeyService
from sync.department.content.opened_list import DATABASE, OpenedList, list_file
from sync.department.desk.context import DeskContext
from sync.department.ground.department_time import DepartmentTime
from sync.department.ground.home import POLICY_CURE, POLICY_FILE, DepartmentHome, demand_owner, load_ed25519
from sync.department.ground.ports import demand_free
from sync.department.ground.serving import serve_app
from sync.department.journal import named_administrator
from sync.department.journal.reading import reading
from sync.department.policy.named_files import root_in, signed_policy
from sync.department.policy.policy_file import parse_policy, policy_digest
from sync.department.server import ceremony, naming
from sync.department.server.keys_traces import lost_day_keys, lost_elsewhere
from sync.department.server.open_desk import adopt_root, has_desk, offer_roster, open_desk, open_front
from sync.department.server.server import Department
from sync.department.units.documents import Said, offer_new_day_keys, unsaid
from sync.errors import DONE, InvalidInputError, SyncError

AGAIN = "get it again from where it was made"

keys = noun(
    "keys",
    "The root file (2 of 3 offline keys) and the key service.",
    example="department keys root",
)


def _policy(home: DepartmentHome, given: Path | None) -> bytes:
    """The given policy file, or the one in force. Raises InvalidInputError if the file is not a policy."""
    path = given or home.path / POLICY_FILE
    try:
        document = given_files.read_bytes(path)
        parse_policy(document)
    except (InvalidInputError, RecordError) as error:
        cure = error.cure or (AGAIN if given else POLICY_CURE)
        raise InvalidInputError(f"no policy file: {error.what}", where=str(path), cure=cure) from None
    return document


whole_keys = click.option(
    "--whole", is_flag=True, help="Show long keys (ML-DSA) whole, not the SHA-256 of their text."
)


@keys.verb("root", example="department keys root")
@whole_keys
def show_root(common: Common, *, whole: bool) -> int:
    """Show the current root file."""
    home = DepartmentHome.read_only(common.home)
    root_in(home)
    root, holders = root_file.describe(home.root_file.read_bytes())
    print(f"SHA-256 {root.digest().hex()}, signed by {', '.join(holders)}")
    print("\n".join(ceremony.lines_of(root, whole=whole)))
    return DONE


@keys.verb("policy", example="department keys policy > next.toml")
def print_policy(common: Common) -> int:
    """Print the current policy file, byte for byte."""
    home = DepartmentHome.read_only(common.home)
    signed_policy(home)
    print(home.policy_document().decode(), end="")
    return DONE


@keys.verb("draft", example="department keys draft --out next.root")
@click.option("--out", type=given_files.FILE, required=True, help="A new file.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="KEYS",
    help="A witness's keys, as printed by `department witness init`, separated by commas. Repeatable.",
)
@click.option(
    "--witness-url", "urls", multiple=True, help="Address of each --witness: https://..., or folder:/path."
)
@click.option(
    "--public-witness", "public", multiple=True, metavar="KEYS", help="A witness of the log of hourly heads."
)
@click.option("--public-witness-url", "public_urls", multiple=True, help="Address of each --public-witness.")
@click.option("--without-witness", "without", multiple=True, metavar="NAME", help="Drop this witness.")
@click.option("--quorum", type=int, help="How many witnesses must co-sign; default: more than half.")
@click.option("--key-service", default="", metavar="KEY", help="The key that signs the key service's list.")
@click.option("--policy", type=given_files.FILE, help="A new policy file, of a higher version.")
@click.option(
    "--office",
    "offices",
    multiple=True,
    metavar="HOLDER=KEY",
    help="Replace this office's root key, as `department keys new` printed it; two old and two new sign.",
)
def draft_root(
    common: Common,
    *,
    out: Path,
    witnesses: tuple[str, ...],
    urls: tuple[str, ...],
    public: tuple[str, ...],
    public_urls: tuple[str, ...],
    without: tuple[str, ...],
    quorum: int | None,
    key_service: str,
    policy: Path | None,
    offices: tuple[str, ...],
) -> int:
    """Draft the next root file."""
    home = DepartmentHome.open(common.home)
    root, document = root_in(home), _policy(home, policy)
    draft = ceremony.draft_root(
        root,
        document,
        now_us=DepartmentTime(home.path).now_us(),
        witnesses=ceremony.witnesses_of(witnesses, urls, "--witness"),
        public_witnesses=ceremony.witnesses_of(public, public_urls, "--public-witness"),
        without=without,
        quorum=quorum,
        offices=offices,
        key_service=key_service,
    )
    write_new(out, root_file.assemble(draft, []))
    who = "two offices by the old keys, and two by the new, sign it" if offices else "two offices sign it"
    print(f"{out}: version {draft.version}, unsigned; {who}: department keys sign")
    return DONE


@keys.verb("new", example="department keys new --out spare.key")
@click.option(
    "--out", type=given_files.FILE, required=True, metavar="FILE", help="A file on a separate medium."
)
def new_key(_common: Common, *, out: Path) -> int:
    """Make a root key, at the office that will keep it, and print the public key."""
    made = Ed25519PrivateKey.generate()
    write_new(out, made.private_bytes_raw())
    print(made.public_key().public_bytes_raw().hex())
    return DONE


@keys.verb("sign", example="department keys sign next.root --key administrator.key --against root.now")
@click.argument("file", type=given_files.FILE)
@click.option("--key", type=given_files.FILE, required=True, help="The office's key file.")
@click.option("--digest", default="", metavar="SHA256", help="The digest of what you read, to sign it.")
@click.option(
    "--against",
    type=given_files.FILE,
    help="The root file in force, as your office kept it: what changes is marked.",
)
@click.option("--policy", type=given_files.FILE, help="The policy file that the draft should name.")
@whole_keys
def sign_draft(
    _common: Common,
    *,
    file: Path,
    key: Path,
    digest: str,
    against: Path | None,
    policy: Path | None,
    whole: bool,
) -> int:
    """Show a draft and, with the digest of what was shown, sign it, at the office that keeps the key."""
    data = given_files.read_bytes(file)
    before = ceremony.described(given_files.read_bytes(against), str(against))[0] if against else None
    office = load_ed25519(key)
    if named_administrator.is_statement(data):
        said, _ = named_administrator.parse(data)
        lines, shown = ceremony.statement_lines(said), said.digest().hex()
        if before is not None and said.root != before.digest():
            raise InvalidInputError("the statement names another root file", where=str(against))
        signed = named_administrator.add_signature(data, office)
    else:
        root, _ = ceremony.described(data, str(file))
        if before is None:
            lines = ceremony.lines_of(root, whole=whole)
        else:
            lines = ceremony.changed_lines(root, before, whole=whole)
        shown = root.digest().hex()
        if policy and policy_digest(given_files.read_bytes(policy)) != root.policy_digest:
            raise InvalidInputError("is not the policy file that the draft names", where=str(policy))
        signed = root_file.add_signature(data, office)
    in_force = before
    if before is None:
        lines.append("compared with no root file: --against names the one that your office kept")
    elif not named_administrator.is_statement(data) and before.version + 1 != root.version:
        lines.append(
            f"compared with version {before.version}, but version {root.version - 1} was in force when this "
            "was drafted: see also what that one changed"
        )
        in_force = None
    print("\n".join((*lines, f"SHA-256 {shown}")))
    if digest != shown:
        if digest:
            raise InvalidInputError(
                "not signed: this file has another digest",
                where="--digest",
                cure="ask the office that sent it for the digest that it signed, by telephone",
            )
        raise InvalidInputError(
            "not signed: read it first",
            where="--digest",
            cure=f"if you agree to all of it, repeat the command with --digest {shown}",
        )
    standing = _standing(signed, in_force, office, key)
    files.replace(file, signed)
    print(f"{file}: {standing}; keep a copy to compare the next one with")
    return DONE


def _standing(signed: bytes, in_force: root_file.Root | None, office: Ed25519PrivateKey, key: Path) -> str:
    """Who has signed a file, including this office. Raises InvalidInputError for a key that no office has.

    `in_force`: the root file that was in force when it was drafted; None if this office does not have it.
    """
    own = office.public_key().public_bytes_raw()
    if named_administrator.is_statement(signed):
        said, signatures = named_administrator.parse(signed)
        if in_force is None:
            made = counted(len(signatures), "signature")
            return f"signed, {made} in all; {root_file.THRESHOLD} offices must sign"
        _demand_office(own, in_force.keys, key)
        return ceremony.standing_words(named_administrator.signers(in_force, said, signatures))
    root, holders = root_file.describe(signed)
    if in_force is None:
        _demand_office(own, root.keys, key)
        return ceremony.standing_words(holders, knows_all=False)
    _demand_office(own, (*root.keys, *in_force.keys), key)
    replaced = {one.public for one in in_force.keys} != {one.public for one in root.keys}
    old = root_file.signed_by(signed, in_force) if replaced else None
    return ceremony.standing_words(holders, old)


def _demand_office(public: bytes, offices: Iterable[root_file.RootKey], key: Path) -> None:
    if all(one.public != public for one in offices):
        raise InvalidInputError(
            "not signed: this key belongs to no office of that root file",
            where=str(key),
            cure="use the office's own key file; where this draft replaces its key, name the root file in "
            "force with --against",
        )


@keys.verb("administrator", example="department keys administrator m.lopez --out next.admin")
@click.argument("user")
@click.option("--name", default="", help="The person's name.")
@click.option("--out", type=given_files.FILE, required=True, help="A new file, for two offices to sign.")
def draft_administrator(common: Common, *, user: str, name: str, out: Path) -> int:
    """Draft a statement that names an administrator, for two of the three offices to sign.

    For a department whose administrator cannot log in: the person left, or lost password and phone.
    """
    opened = open_desk(DepartmentHome.open(common.home))
    try:
        write_new(out, naming.draft(opened, user, name))
    finally:
        opened.close()
    print(f"{out}: unsigned; two offices sign it (department keys sign), then: department keys appoint {out}")
    return DONE


@keys.verb("appoint", example="department keys appoint next.admin")
@click.argument("file", type=given_files.FILE)
def appoint(common: Common, *, file: Path) -> int:
    """Appoint the administrator named by two offices, and print the first password, once."""
    home = DepartmentHome.open(common.home)
    with contextlib.closing(open_desk(home)) as opened:
        made = naming.name_administrator(opened, _statement(file))
        if common.json:
            print(json.dumps({"user": made.user, "password": made.password, "totp_uri": made.totp_uri}))
        else:
            print(f"first password of {made.user}, shown once: {made.password}")
            print(f"authenticator: {made.totp_uri}")
        offer_roster(home, opened)
    return DONE


def _statement(file: Path) -> bytes:
    """Read a file that names an administrator. Raises InvalidInputError."""
    data = given_files.read_bytes(file)
    if not named_administrator.is_statement(data):
        cure = "get it again from where it was drafted: department keys administrator"
        raise InvalidInputError("names no administrator, or was cut", where=str(file), cure=cure)
    return data


@keys.verb("adopt", example="department keys adopt next.root")
@click.argument("file", type=given_files.FILE)
@click.option("--policy", type=given_files.FILE, help="The policy file that it names, if the policy changes.")
def adopt(common: Common, *, file: Path, policy: Path | None) -> int:
    """Adopt a signed root file."""
    home = DepartmentHome.open(common.home)
    document, data = _policy(home, policy), given_files.read_bytes(file)
    described, _ = ceremony.described(data, str(file))
    if policy is None and policy_digest(document) != described.policy_digest:
        raise InvalidInputError(
            "names another policy file than the one here",
            where=str(file),
            cure="give that file: --policy FILE",
        )
    front = open_front(home, replacing=True)
    try:
        root = adopt_root(home, front.desk, data, document)
        _offer_to_units(front)
    finally:
        front.close()
    print(f"adopted: root version {root.version}, policy version {root.policy_version}")
    return DONE


@keys.verb("list", example="department keys list --folder /srv/keys --out opened.list")
@click.option("--folder", type=given_files.FILE, required=True, help="The key service's home.")
@click.option("--out", type=given_files.FILE, required=True, help="File to write.")
def write_list(common: Common, *, folder: Path, out: Path) -> int:
    """Write the key service's own signed list, for a stranger's `department verify --opened`.

    It holds which entries of the access log content was opened for, and no content. The service may run.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise InvalidInputError("holds no list of a key service", where=str(folder))
    with reading(path, at_home=True) as db:
        lines = [bytes(row[0]) for row in db.execute("SELECT message FROM lines ORDER BY number")]
    write_new(out, list_file(lines))
    print(json.dumps({"lines": len(lines)}) if common.json else f"{counted(len(lines), 'line')} in {out}")
    return DONE


@contextlib.contextmanager
def _said(home: DepartmentHome) -> Iterator[Said]:
    """What the log says that units were offered, if there is a log, so that new keys are newer than that."""
    if not has_desk(home):
        yield unsaid
        return
    with contextlib.closing(open_desk(home)) as desk:
        yield desk.book.sent.version


@keys.verb("renew", example="department keys renew")
def renew(common: Common) -> int:
    """Make new day keys where those that units seal to are lost for good.

    Reads sealed to the lost ones stay unreadable. Units seal to the new ones from their next sync on. First
    look for a backup of HOME/keys, or of the key service's folder where that runs.
    """
    home = DepartmentHome.open(common.home)
    with contextlib.closing(Department(home)) as department:
        if address_of(home) is None:
            where, lost = str(home.keys / "day"), lost_day_keys(home, department.store, department.time())
        else:
            where = "key service"
            lost = lost_elsewhere(department.store, department.keys, department.time())
        if not lost:
            raise InvalidInputError("no day key is missing there", where=where)
        with _said(home) as said:
            last = offer_new_day_keys(
                *(home, department.store, department.keys, department.time()), said=said
            )
    facts = {"lost": len(lost), "last_day": day_text(last)}
    words = f"{counted(len(lost), 'day key')} lost; units are offered new ones until {facts['last_day']}"
    print(json.dumps(facts) if common.json else words)
    return DONE


@keys.verb(
    "serve",
    example="department keys serve --folder /srv/keys --root root.cbor --certificate chain.pem "
    "--tls-key key.pem",
)
@click.option(
    "--folder", type=given_files.FILE, required=True, help="The key service's home, on this machine."
)
@click.option(
    "--root",
    "root_path",
    type=given_files.FILE,
    required=True,
    help="The department's root file, trusted by this machine.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=8466, show_default=True, help="Port to listen on.")
@click.option("--certificate", type=given_files.FILE, required=True, help="PEM chain for HTTPS.")
@click.option("--tls-key", type=given_files.FILE, required=True, help="PEM key for HTTPS.")
@click.option("--fips", is_flag=True, help="Only approved algorithms in TLS.")
def serve(
    _common: Common,
    *,
    folder: Path,
    root_path: Path,
    host: str,
    port: int,
    certificate: Path,
    tls_key: Path,
    fips: bool,
) -> int:
    """Run the key service here until stopped."""
    from sync.department.content.key_server import TOKEN_FILE, key_app  # noqa: PLC0415
    from sync.department.ground.served_certificate import ServedCertificate  # noqa: PLC0415

    try:
        root = given_files.read_bytes(root_path)
        ceremony.described(root, str(root_path))
    except StorageError as error:
        raise InvalidInputError(f"is not a root file: {error}", where=str(root_path)) from None
    shown = ServedCertificate(certificate, tls_key, approved=fips)
    demand_free(host, port, "--port")
    private_folder(folder)
    demand_owner(folder)
    token_file = folder / TOKEN_FILE
    if not token_file.exists():
        files.write_new(token_file, secrets.token_hex(32).encode())
        files.sync_dir(folder)
        print(f"put the content of {token_file} into the department's keys.remote", file=sys.stderr)
    clock = DepartmentTime(folder)
    service, opened = LocalKeyService(folder, clock), OpenedList(folder)
    clock.known(opened.newest_us())
    print(f"key of its list, for the root file: {opened.public.public_bytes_raw().hex()}", file=sys.stderr)
    app = key_app(service, opened, root, token_file.read_text().strip(), clock)
    print(f"key service on {host}:{port}; Ctrl-C stops", file=sys.stderr, flush=True)
    try:
        serve_app(app, host, port, shown)
    finally:
        service.close()
        opened.close()
    return DONE


def _offer_to_units(front: DeskContext) -> None:
    """Offer a changed policy at once; if that fails, the server retries daily."""
    try:
        if sent := front.send_down():
            print(f"units are offered a new {', '.join(sent)}")
    except SyncError as error:
        print(f"department: not offered to units yet: {error}", file=sys.stderr)
