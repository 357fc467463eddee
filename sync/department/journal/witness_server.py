"""A small witness to run outside the department: its folder and its HTTP interface (C2SP `tlog-witness`).

    POST /add-checkpoint                 co-sign a tree head of a log that only grew
    GET  /<hash>/checkpoint              the newest co-signed one, for monitors; hash: SHA-256 of the origin

The newest tree head is read, judged and replaced in one SQLite transaction, which is synced before the
answer. If a folder has lost its database, its key must be retired: opening never makes a new database.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from storage import files
from storage.checkpoint import Checkpoint, NoteKey, split_note
from storage.cosigners import CosignerKey, PrivateCosigner
from storage.errors import CheckpointError
from sync.department.ground.home import demand_owner
from sync.department.ground.http_body import Budget, read_body
from sync.department.ground.private_sqlite import open_private, transaction
from sync.department.ground.problem import exact
from sync.department.journal.witness import MAX_REQUEST_BYTES, PLAIN_TYPE, Witness, WitnessAnswer, origin_hash
from sync.errors import HomeError, RefusedByDepartmentError

KEY_FILE = "witness.pem"
ML_DSA_FILE = "witness-ml-dsa-44.pem"
DATABASE = "witness.sqlite"
BODY_SECONDS = 10  # a tree head and its proof: a few kilobytes
REFUSED = {"too-large": 413, "too-slow": 408}
SCHEMA = """
CREATE TABLE logs (origin TEXT PRIMARY KEY, vkey TEXT NOT NULL) STRICT;
CREATE TABLE heads (
    origin TEXT PRIMARY KEY REFERENCES logs, size INTEGER NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE TABLE about (name TEXT NOT NULL) STRICT;
"""


def write_private(path: Path, key: PrivateCosigner) -> None:
    """Write a new private key file: PKCS #8 PEM, mode 0600, synced. Raises FileExistsError."""
    files.write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.sync_dir(path.parent)


def read_private(path: Path) -> PrivateCosigner:
    """Read an Ed25519 or ML-DSA-44 key from a PEM file. Raises HomeError."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise HomeError(f"no usable key: {type(error).__name__}", where=str(path)) from None
    if not isinstance(key, Ed25519PrivateKey | MLDSA44PrivateKey):
        raise HomeError("is not an Ed25519 or ML-DSA-44 key", where=str(path))
    return key


class WitnessFolder:
    """A witness's keys, its known logs and the newest tree head of each."""

    def __init__(self, folder: Path) -> None:
        """Open a folder made by `create`. Raises HomeError."""
        path = folder / DATABASE
        if not path.is_file():
            raise HomeError(
                "holds no witness",
                where=str(folder),
                cure="department witness init; a witness that lost its database is retired with its key",
            )
        self._keys = [read_private(folder / KEY_FILE)]
        if (folder / ML_DSA_FILE).exists():  # a witness of an older version has only the first
            self._keys.append(read_private(folder / ML_DSA_FILE))
        self._lock = threading.Lock()
        self._db = open_private(path)
        (self.name,) = self._db.execute("SELECT name FROM about").fetchone()

    @classmethod
    def create(cls, folder: Path, name: str) -> WitnessFolder:
        """Make a witness: folder 0700, key 0600. Raises HomeError, or CheckpointError for a bad name."""
        private: tuple[PrivateCosigner, ...] = (Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate())
        for one in Witness(name, private, {}).keys:
            CosignerKey.parse(one.text())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        demand_owner(folder)
        if (folder / DATABASE).exists() or (folder / KEY_FILE).exists():
            cure = f"its key: department witness key --folder {folder}"
            raise HomeError("already holds a witness", where=str(folder), cure=cure)
        for file, key in zip((KEY_FILE, ML_DSA_FILE), private, strict=True):
            write_private(folder / file, key)
        db = open_private(folder / DATABASE, SCHEMA)
        db.execute("INSERT INTO about VALUES (?)", (name,))
        db.close()
        return cls(folder)

    def close(self) -> None:
        with self._lock:  # sqlite3 crashes if one thread closes what another uses
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._db):
            yield self._db

    def add_log(self, key: NoteKey) -> None:
        """Watch a log from now on. Its origin is its key's name; a known origin keeps its key."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO logs VALUES (?, ?)", (key.name, key.text()))
            (known,) = db.execute("SELECT vkey FROM logs WHERE origin = ?", (key.name,)).fetchone()
        if known != key.text():
            raise HomeError("is watched under another key already", where=key.name)

    def _witness(self, db: sqlite3.Connection) -> Witness:
        rows = db.execute("SELECT origin, vkey FROM logs")
        return Witness(self.name, self._keys, {origin: NoteKey.parse(vkey) for origin, vkey in rows})

    @property
    def keys(self) -> tuple[CosignerKey, ...]:
        """Its verifying keys: Ed25519 and, if it has one, ML-DSA-44."""
        return Witness(self.name, self._keys, {}).keys

    def add_checkpoint(self, body: bytes, *, time_s: int) -> WitnessAnswer:
        """Judge a request by the newest tree head, and replace that in the same transaction."""
        with self._transaction() as db:
            witness = self._witness(db)
            try:
                origin = witness.origin_of(body)
            except CheckpointError:
                return witness.judge(body, None, time_s=time_s)
            row = db.execute("SELECT note FROM heads WHERE origin = ?", (origin,)).fetchone()
            last = Checkpoint.parse(split_note(row[0])[0]) if row else None
            answer = witness.judge(body, last, time_s=time_s)
            if answer.remember is not None:
                db.execute(
                    "INSERT OR REPLACE INTO heads VALUES (?, ?, ?)",
                    (origin, answer.remember.size, answer.note),
                )
            return answer

    def newest_by_hash(self, name: str) -> str | None:
        """The newest co-signed note of the log whose origin has this SHA-256 (hex)."""
        with self._lock:
            rows = self._db.execute("SELECT origin, note FROM heads").fetchall()
        return next((str(note) for origin, note in rows if origin_hash(origin) == name), None)

    def newest(self, origin: str) -> str | None:
        """The newest co-signed note of a log."""
        with self._lock:
            row = self._db.execute("SELECT note FROM heads WHERE origin = ?", (origin,)).fetchone()
        return str(row[0]) if row else None


def witness_app(folder: WitnessFolder) -> Starlette:
    """The HTTP interface. Bodies over 64 KiB and slow ones are refused while they arrive."""
    budget = Budget(256 * MAX_REQUEST_BYTES)

    async def add_checkpoint(request: Request) -> Response:
        try:
            with budget.taking() as add:
                body = await read_body(request, MAX_REQUEST_BYTES, BODY_SECONDS, add)
        except RefusedByDepartmentError as error:
            return PlainTextResponse(f"{error.code}\n", REFUSED.get(error.code, 503))
        answer = await run_in_threadpool(folder.add_checkpoint, body, time_s=int(time.time()))
        return Response(answer.body, answer.status, media_type=answer.content_type)

    async def checkpoint(request: Request) -> Response:
        note = await run_in_threadpool(folder.newest_by_hash, request.path_params["hash"])
        if note is None:
            return PlainTextResponse("this witness does not know that log, or has not seen it yet\n", 404)
        return Response(note, media_type=PLAIN_TYPE)

    routes = [
        Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
        Route("/{hash}/checkpoint", checkpoint, methods=["GET"]),
    ]
    return exact(Starlette(routes=routes))
