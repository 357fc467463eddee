"""Founding a department: its home, keys, authority, store, and the first root file of three offline keys."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import files
from sync import root_file
from sync.department.content.key_service import LocalKeyService
from sync.department.ground.department_time import Clocks, DepartmentTime
from sync.department.ground.home import POLICY_FILE, SETTINGS_FILE, DepartmentHome, demand_owner
from sync.department.ground.settings import Settings, settings_text
from sync.department.policy.policy_file import document_for, parse_policy, policy_digest
from sync.department.store.opening import demand_unused, open_store
from sync.department.units.authority import Authority
from sync.errors import HomeError, InvalidInputError

MAX_HOST = 253  # characters of a name as text (RFC 1035)
HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
MADE = ("log.key", "command.key", "root.cbor", "root-keys", "authority", "store.db", "policy.toml", "desk")
"""What a founding makes, and the desk: where one of them is, there was a department."""
SERVED = ("store.db", "desk", "serve.lock")
"""What comes after the settings: without them and these, no unit and no person used the department."""
OFFICES = ("administrator", "outside-office", "spare")


@dataclass(frozen=True, slots=True)
class Founded:
    """What was made, for the person at the terminal."""

    home: DepartmentHome
    root_digest: bytes
    root_keys: tuple[Path, ...]


def found(
    path: Path, settings: Settings, *, demo: bool = False, fips: bool = False, clocks: Clocks | None = None
) -> Founded:
    """Make a department's home completely or not at all. Raises StoreAwayError, and HomeError if there is
    one."""
    check_host(settings.host)
    _check_place(path)
    keys_folder = Path(settings.keys_folder) if settings.keys_folder else path / "keys"
    _demand_new(path, keys_folder)
    if settings.database:
        with closing(open_store(settings.database, migrate=False)) as there:
            demand_unused(there)
        with closing(open_store(settings.database)):
            pass  # checked before anything is made: its role, its rights, its tables
    before = {folder: _content(folder) for folder in (path, keys_folder)}
    try:
        return _make(path, settings, keys_folder, demo=demo, fips=fips, clocks=clocks)
    except BaseException:
        for folder, content in before.items():
            _clear(folder, content)
        raise


def _check_place(path: Path) -> None:
    """Refuse a home that is a file or whose folder cannot be made. Raises HomeError."""
    folder = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise HomeError("cannot create a folder there", where=str(path), cure="choose another --home")
    if folder == path:
        demand_owner(path)


def _demand_new(path: Path, keys_folder: Path) -> None:
    """Refuse to replace anything of a department, in its home or among its keys. Raises HomeError."""
    if (path / SETTINGS_FILE).exists():
        cure = "choose another --home"
        if not (path / "desk").exists():
            cure += (
                "; or, if its init was interrupted, continue with root-keys/ there and department user first"
            )
        raise HomeError("there already is a department here", where=str(path), cure=cure)
    served = any((path / name).exists() for name in SERVED)
    for name in MADE:
        one = path / name
        if one.is_file() or (one.is_dir() and any(one.iterdir())):
            cure = f"restore {SETTINGS_FILE} from its backup; for a new department choose another --home"
            if not served:
                cure = f"if an init was interrupted, remove the folder and run it again; else {cure}"
            raise HomeError(
                f"this belongs to a department whose {SETTINGS_FILE} is gone", where=str(one), cure=cure
            )
    for one in (keys_folder / "day", keys_folder / "store", keys_folder / "hold"):
        if one.is_dir() and any(one.iterdir()):
            raise HomeError(
                "there are keys of another department", where=str(one), cure="choose another --keys-folder"
            )


def _content(folder: Path) -> set[Path] | None:
    """The content of a folder; None if there is no folder."""
    return set(folder.iterdir()) if folder.is_dir() else None


def _clear(folder: Path, but: set[Path] | None) -> None:
    """Remove what a failed founding left: the folder, or what was not in it before."""
    if but is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for one in _content(folder) or ():
        if one not in but:
            shutil.rmtree(one) if one.is_dir() else one.unlink()


def check_host(host: str) -> None:
    """Demand a name or an address that units can reach, without scheme, port or path. Raises
    InvalidInputError."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if len(host) <= MAX_HOST and HOST.fullmatch(host):
            return
        raise InvalidInputError(
            f"{host[:64]!r} is not a host name or address",
            where="--host",
            cure="only the name, e.g. alpr.example.gov or 192.0.2.7, without https:// or a port",
        ) from None


def _make(
    path: Path, settings: Settings, keys_folder: Path, *, demo: bool, fips: bool, clocks: Clocks | None
) -> Founded:
    path.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
    path.chmod(files.PRIVATE_DIR)
    files.keep_name(path)
    keys = {name: _new_key(path / f"{name}.key") for name in ("log", "command")}
    time = DepartmentTime(path, clocks)
    time.found()
    authority = Authority.create(path / "authority", settings.name, time)
    document = document_for(settings.name, fips=fips)
    files.replace(path / POLICY_FILE, document)
    offices = path / "root-keys"
    files.make_dir(offices)
    holders = {name: _new_key(offices / f"{name}.key") for name in OFFICES}
    root = root_file.Root(
        format=root_file.FORMAT,
        version=1,
        department=settings.name,
        created_us=time(),
        demo=demo,
        keys=tuple(
            root_file.RootKey(holder=name, public=key.public_key().public_bytes_raw())
            for name, key in holders.items()
        ),
        policy_version=parse_policy(document).version,
        policy_digest=policy_digest(document),
        witnesses=(),
        quorum=0,
        public_witnesses=(),
        others=(
            *(
                root_file.NamedKey(name=name, public=key.public_key().public_bytes_raw())
                for name, key in keys.items()
            ),
            root_file.NamedKey(name="ca", public=authority.public_der()),
        ),
    )
    signatures = [root_file.sign(root, key) for key in holders.values()]
    files.replace(path / "root.cbor", root_file.assemble(root, signatures))
    LocalKeyService(keys_folder).close()
    files.replace(path / SETTINGS_FILE, settings_text(settings).encode())
    home = DepartmentHome.open(path)
    open_store(home.database_url).close()
    return Founded(home, root.digest(), tuple(offices / f"{name}.key" for name in OFFICES))


def _new_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    files.replace(path, key.private_bytes_raw())
    return key
