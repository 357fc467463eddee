"""The department's data directory: its paths, its settings and the server's lock. Files are 0600.

department.toml   settings, with comments       authority/   the CA and the server's TLS key
root.cbor         who is trusted (public)       store.db     the store, where it is SQLite
log.key           the department log's key      blobs/       sealed images, named by SHA-256
keys/             the key service's home        serve.lock   held by the running server
evidence/         the authority for C2PA manifests, from the first export on
reserve           space that is freed on a full disk, so that a due purge can run
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import files
from storage.errors import LedgerError
from storage.home import owner_of
from sync.department.ground.settings import Settings, load_settings
from sync.errors import HomeError, LackingError

SETTINGS_FILE = "department.toml"
POLICY_FILE = "policy.toml"
SQLITE_FILE = "store.db"
KEPT_FILE = "store-before-move.db"  # the name of SQLite's file after `department move`
POLICY_CURE = "restore it from its backup, or from the copy that was signed"
DESK_URL = "DEPARTMENT_URL"  # the environment variable that names a remote desk
ROOM_TO_OPEN = 1 << 20  # bytes that SQLite needs beside a database


@dataclass(frozen=True, slots=True)
class DepartmentHome:
    """An opened data directory with its checked settings."""

    path: Path
    settings: Settings

    @classmethod
    def open(cls, path: Path) -> DepartmentHome:
        """Open a home. Raises HomeError if there is none or root opens another user's, InvalidInputError for
        wrong settings."""
        home = cls.read_only(path)
        demand_owner(path)
        return home

    @classmethod
    def read_only(cls, path: Path) -> DepartmentHome:
        """Open a home without writing to it, so that root may do so too. Raises as `open`."""
        if not (path / SETTINGS_FILE).is_file():
            if (path / "log.key").exists():
                what, cure = "the settings are not there", "restore the file from its backup"
                raise HomeError(what, where=str(path / SETTINGS_FILE), cure=cure)
            elsewhere = "this command works only on the department's own machine: run it there"
            cure = elsewhere if os.environ.get(DESK_URL) else "run: department init --home DIR"
            raise HomeError("there is no department here", where=str(path), cure=cure)
        return cls(path, load_settings(path / SETTINGS_FILE))

    @property
    def root_file(self) -> Path:
        return self.path / "root.cbor"

    @property
    def authority(self) -> Path:
        return self.path / "authority"

    @property
    def evidence(self) -> Path:
        """The authority for C2PA manifests of exported images, made at the first export."""
        return self.path / "evidence"

    @property
    def keys(self) -> Path:
        """The key service's home; a setting may put it on a disk that the database's backups exclude."""
        chosen = self.settings.keys_folder
        return Path(chosen) if chosen else self.path / "keys"

    @property
    def database_url(self) -> str:
        return self.settings.database or f"sqlite:///{self.path / SQLITE_FILE}"

    @property
    def blobs(self) -> Path:
        chosen = self.settings.blobs_folder
        return Path(chosen) if chosen else self.path / "blobs"

    @property
    def fips(self) -> bool:
        """Whether this home's policy file requires the FIPS profile, with approved algorithms only."""
        try:
            return _asks_for_fips((self.path / POLICY_FILE).read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            return False  # the code that needs the policy reports the fault

    def policy_document(self) -> bytes:
        """The policy file, which every department has from its founding. Raises HomeError if it is gone."""
        path = self.path / POLICY_FILE
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise HomeError("the policy file is gone", where=str(path), cure=POLICY_CURE) from None

    def log_key(self) -> Ed25519PrivateKey:
        """The department log's signing key. Raises HomeError."""
        return load_ed25519(self.path / "log.key")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the server's lock. Raises HomeError if another server runs.

        Also locks the log's key: if the lock file is removed, a second server must not write the log.
        """
        with contextlib.ExitStack() as held:
            opened = [held.enter_context((self.path / "serve.lock").open("a"))]
            with contextlib.suppress(OSError):  # whatever loads the key reports what is wrong with it
                opened.append(held.enter_context((self.path / "log.key").open()))
            for file in opened:
                try:
                    is_ours = files.try_lock(file.fileno(), where=Path(file.name))
                except OSError as error:
                    if file is opened[0]:
                        cure = "use a file system that has locks"
                        raise HomeError(str(error.strerror), where=file.name, cure=cure) from None
                    continue  # a network share cannot lock a file opened for reading; the lock file is held
                if not is_ours:
                    what = "a server already runs on this home"
                    raise HomeError(what, where=str(self.path), cure="stop it first")
            yield


@functools.lru_cache(maxsize=16)  # cached like the policy itself: everything that opens a desk needs it
def _asks_for_fips(policy: str) -> bool:
    security = tomllib.loads(policy).get("security")
    return isinstance(security, dict) and security.get("profile") == "fips"


def demand_owner(path: Path) -> None:
    """Raises HomeError for root in another user's folder, since that user could not open root's files."""
    if os.geteuid() == 0 and path.is_dir() and path.stat().st_uid != 0:
        name = owner_of(path)
        what = f"belongs to {name}, and root would leave files that {name} cannot open"
        cure = f"run it as that user: sudo -u {shlex.quote(name)} department ..."
        if name.startswith("#"):  # not a user of this machine, as in a container
            cure += f"; or, if no server runs as that user: chown -R root {shlex.quote(str(path))}"
        raise HomeError(what, where=str(path), cure=cure)


@contextlib.contextmanager
def examined(path: Path) -> Iterator[DepartmentHome]:
    """Open a home for a check: in place, or on a read-only medium with copies of its databases.

    SQLite can open a database that was not closed only if it can write beside it. Everything else, above all
    keys, is read in place, since a copy would outlive the purge of a key. Raises HomeError,
    InvalidInputError, or LackingError if there is no room for the copies.
    """
    home = DepartmentHome.read_only(path)
    if os.access(path, os.W_OK) and shutil.disk_usage(path).free >= ROOM_TO_OPEN:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        private, keys = Path(folder) / "home", Path(folder) / "keys"
        copies = [(path, private), *([(home.keys, keys)] if home.settings.keys_folder else [])]
        images = home.blobs if home.blobs.parent == path else None
        need = sum(one.stat().st_size for one in path.rglob("*") if _is_database(one))
        if shutil.disk_usage(folder).free < need + ROOM_TO_OPEN:
            what = f"no room in {Path(folder).parent} for a copy of {need >> 20} MB"
            raise LackingError(what, where=str(path), cure="set TMPDIR to a larger disk")
        for source, copy in copies:
            _mirror(source.absolute(), copy, None if images is None else images.absolute())
        yield DepartmentHome(
            private,
            replace(
                home.settings,
                blobs_folder=str(home.settings.blobs_folder or home.blobs),
                keys_folder=str(keys) if home.settings.keys_folder else "",
            ),
        )


def _mirror(source: Path, copy: Path, but: Path | None) -> None:
    """Mirror `source`: make its folders, copy its databases, and link its other files."""
    copy.mkdir(mode=files.PRIVATE_DIR)
    for one in source.iterdir():
        if one.is_dir() and one != but:
            _mirror(one, copy / one.name, but)
        elif _is_database(one):
            shutil.copyfile(one, copy / one.name)
        elif one.is_file() and one.name != "service.log" and one.suffix != ".lock":  # those get written to
            (copy / one.name).symlink_to(one)


def _is_database(path: Path) -> bool:
    """Whether this is an SQLite database or one of its side files."""
    if path.name.endswith(("-wal", "-shm", "-journal")):
        return path.is_file()
    try:
        with files.open_evidence(path) as file:
            return file.read(16) == b"SQLite format 3\0"
    except (OSError, LedgerError):
        return False


def load_ed25519(path: Path) -> Ed25519PrivateKey:
    """A raw 32-byte Ed25519 key file. Raises HomeError."""
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except FileNotFoundError:
        raise HomeError("the key is not there", where=str(path), cure="restore it from its backup") from None
    except ValueError:
        raise HomeError(
            "this is not an Ed25519 key", where=str(path), cure="restore it from its backup"
        ) from None
