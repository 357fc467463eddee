"""The effect of losing each file of a department's home, file by file.

A new kind of file fails the first test until its row is added: often the first reader of a file makes it
again, so a lost key, log or counter would look as if it had never existed.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from list_twins import VERSIONS, push
from sync_twins import Unit, bare_home, files_of, running

from storage.checkpoint import NoteKey
from storage.errors import ExplainedError
from storage.times import DAY_US, now_us
from sync import root_file
from sync.department.cli import main
from sync.department.commands.serve import _daily, _hourly, started
from sync.department.content.key_files import der_of
from sync.department.desk import snapshot
from sync.department.desk.grants.signer import GrantOffice
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.journal.hourly_heads import hourly_origin
from sync.department.journal.witness_server import WitnessFolder
from sync.department.server.founding import OFFICES
from sync.department.server.open_desk import adopt_root, first_administrator, open_front
from sync.department.units.authority import Authority
from sync.root_file import RootWitness


@dataclass(frozen=True, slots=True)
class Decided:
    """The effect of a missing file: whether the server starts, the status of `verify`, and what both say.
    `why`: the reason if nothing names the loss.
    """

    starts: bool
    verify: int
    says: str = ""
    why: str = ""


def refused(says: str, verify: int = 2) -> Decided:
    return Decided(starts=False, verify=verify, says=says)


def named(says: str) -> Decided:
    return Decided(starts=True, verify=1, says=says)


def again(why: str) -> Decided:
    return Decided(starts=True, verify=0, why=why)


DECIDED: dict[str, Decided] = {
    "authority/ca.key": refused("ca.key"),
    "authority/ca.pem": refused("ca.pem"),
    "authority/server.key": again("the CA signs another; units know the CA"),
    "authority/server.pem": again("the CA signs another; units know the CA"),
    "blobs/*": named("blob"),
    "command.key": again("it may be away, on the administrator's token"),
    "department.toml": refused("department.toml"),
    "desk/access-log.sqlite": refused("access-log.sqlite", 1),
    "desk/audit-keys/0.key": refused("0.key", 1),
    "desk/audit-keys/[1-9]*.key": refused("audit", 1),
    "desk/book.snapshot": again("a cache of the log, folded again"),
    "desk/failed-logons.sqlite": again("no record: people wait less after a start"),
    "desk/hourly-heads.sqlite": named("hourly"),
    "desk/*.lock": again("held while something is written; holds nothing"),
    "hotlists.key": named("hotlists.key"),
    "hotlists/*.list": again("the store has the documents; compliance names the list"),
    "hotlists/*.lock": again("held while something is written; holds nothing"),
    "keys/day/*.key": refused("day", 1),
    "keys/found.sqlite": again("people search again, or let a second person agree"),
    "keys/followed.sqlite": again("the log is followed again from its first entry, under the list's heads"),
    "keys/list.key": refused("list.key", 1),
    "keys/opened.sqlite": refused("opened.sqlite", 1),
    "keys/service.log": again("an account of uses, for people; nothing reads it"),
    "keys/store/*.key": named(""),
    "log.key": refused("log.key"),
    "policy.toml": refused("policy.toml", 1),
    "reserve": again("room for a full disk; made again while there is enough"),
    "revocations.cbor": again("units are offered the same list; the next one takes both"),
    "root.cbor": refused("root"),
    "root-keys/*": again("each office takes its own away"),
    "serve.lock": again("held by the running server; holds nothing"),
    "serve.log": again("the test's own"),
    "store.db": refused("store.db"),
    "time.cbor": again("the time of the store's and the log's newest entry counts"),
}


FOLDERS: dict[str, Decided] = {
    "authority": refused("ca."),
    "blobs": named("pack"),
    "desk": refused("access-log.sqlite", 1),
    "desk/audit-keys": refused("audit-keys", 1),
    "hotlists": again("the store has the documents; compliance names the lists"),
    "keys": refused("day key", 1),
    "keys/day": refused("day key", 1),
    "keys/store": named("key"),
    "root-keys": again("each office takes its own away"),
}


@dataclass(frozen=True, slots=True)
class Served:
    """A home that has served, and its witness at that time."""

    home: Path
    witness: Path
    kept: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A department with a unit that delivered, a list and a revoked grant; then a desk and witnesses."""
    folder = tmp_path_factory.mktemp("served")
    home = bare_home(folder / "home")
    unit = Unit(folder / "unit")
    with running(home) as process:  # before the first administrator: what arrives then is no person's call
        unit.enroll(process.code("Car 7"))
        unit.add(2, size=20_000)
        assert unit.attempt().outcome == "done"
    unit.close()
    with started(home) as (department, front):
        assert front is None
        push(department, VERSIONS[0])
        GrantOffice(home, department.store).revoke(["t.okafor"], now_us())
    first_administrator(home, "chief", "Chief Example")
    _name_witness(home, folder / "witness")
    with started(home) as (department, desk):
        assert desk is not None
        _daily(desk, department)
        _hourly(desk)
        snapshot.write(desk.desk.log, desk.desk.book)
    shutil.copytree(folder / "witness", folder / "kept")
    return Served(home.path, folder / "witness", folder / "kept")


def _name_witness(home: DepartmentHome, folder: Path) -> None:
    """Name a witness for the access log and its hourly heads."""
    with (
        closing(open_front(home)) as front,
        closing(WitnessFolder.create(folder, "witness.example/a")) as made,
    ):
        log, root = front.desk.log, front.desk.root
        made.add_log(log.note_key)
        made.add_log(NoteKey(hourly_origin(log.log_id), log.public))
        witness = RootWitness(keys=tuple(one.text() for one in made.keys), url=f"folder:{folder}")
        root = replace(root, version=2, witnesses=(witness,), quorum=1, public_witnesses=(witness,))
        keys = [load_ed25519(home.path / "root-keys" / f"{name}.key") for name in OFFICES]
        signed = root_file.assemble(root, [root_file.sign(root, key) for key in keys])
        adopt_root(home, front.desk, signed, front.desk.policy_document)


@pytest.fixture
def home(served: Served, tmp_path: Path) -> Path:
    copy = tmp_path / "home"
    shutil.copytree(served.home, copy)
    shutil.rmtree(served.witness)
    shutil.copytree(served.kept, served.witness)
    return copy


def start(home: Path) -> None:
    """Start as `serve` does, with the daily and the hourly run. Raises the same errors."""
    with started(DepartmentHome.open(home)) as (department, front):
        _daily(front, department)
        _hourly(front)


def test_of_every_file_of_a_home_it_is_decided_what_its_loss_does(served: Served) -> None:
    there = files_of(served.home)
    assert [name for name in there if not any(fnmatch(name, pattern) for pattern in DECIDED)] == []
    assert [pattern for pattern in DECIDED if not any(fnmatch(name, pattern) for name in there)] == []


def test_a_home_that_lost_nothing_starts_and_verifies(home: Path) -> None:
    start(home)
    assert main(["verify", "--home", str(home)]) == 0


@pytest.mark.thorough_rows(
    "desk/hourly-heads.sqlite", "hotlists.key", "keys/opened.sqlite", "keys", "keys/store", every=8
)
@pytest.mark.parametrize("pattern", DECIDED | FOLDERS)
def test_a_gone_file_has_the_result_that_was_decided_for_it(
    home: Path, capsys: pytest.CaptureFixture[str], pattern: str
) -> None:
    decided = (DECIDED | FOLDERS)[pattern]
    gone = [name for name in files_of(home) if fnmatch(name, pattern) or name.startswith(f"{pattern}/")]
    for name in gone:
        for end in ("", "-wal", "-shm"):
            (home / f"{name}{end}").unlink(missing_ok=True)
    if pattern in FOLDERS:
        shutil.rmtree(home / pattern)
    shutil.copytree(home, copy := home.with_name("copy"))
    capsys.readouterr()
    status = main(["verify", "--home", str(copy)])
    said = "".join(capsys.readouterr())
    assert (status, decided.says.lower() in said.lower()) == (decided.verify, True), said
    if decided.starts:
        start(home)
        return
    with pytest.raises(ExplainedError) as refusal:
        start(home)
    assert decided.says in str(refusal.value)
    assert refusal.value.cure
    back = {name for name in files_of(home) if name in gone} - {"keys/service.log"}
    assert back == set()  # nothing replaced it


def _p256() -> bytes:
    return der_of(ec.generate_private_key(ec.SECP256R1()))


def _raw() -> bytes:
    return secrets.token_bytes(32)


@pytest.mark.parametrize(
    ("pattern", "other", "says", "verify_says"),
    [
        ("keys/day/*.key", _p256, "or another is in its place", "or another is in its place"),
        ("keys/list.key", _raw, "is not the list of the key beside it", "key service's list, line 0"),
        ("log.key", _raw, "is the store of another department", "is not co-signed by this department"),
    ],
)
def test_a_key_of_another_department_starts_nothing(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    pattern: str,
    other: Callable[[], bytes],
    says: str,
    verify_says: str,
) -> None:
    for path in home.glob(pattern):
        path.write_bytes(other())
    assert main(["verify", "--home", str(home)]) == 1
    said = capsys.readouterr().out
    assert verify_says in said
    assert "hourly heads" in said  # the rest is still checked
    with pytest.raises(ExplainedError, match=says) as refusal:
        start(home)
    assert refusal.value.cure


def test_who_only_looks_changes_nothing(home: Path) -> None:
    """It does not make files that a start makes again, or renew a certificate that ends soon."""
    for name in ("keys/found.sqlite", "keys/followed.sqlite", "authority/server.pem"):
        (home / name).unlink()
    for name in ("keys/hold", "blobs", "partial"):
        shutil.rmtree(home / name)
    (home / "store.db").chmod(0o640)
    past = now_us() - 600 * DAY_US
    assert Authority.open(home / "authority", lambda: past).renew()
    before = _all_in(home)
    for words in ("verify", "health", "purge --plan", "enroll --list"):
        main([*words.split(), "--home", str(home)])
        assert _all_in(home) == before, words


def _all_in(home: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(one.relative_to(home)): (one.stat().st_mode, one.read_bytes() if one.is_file() else b"")
        for one in home.rglob("*")
        if one.name != "service.log" and not one.name.endswith(("-wal", "-shm"))
    }
