"""What all tests share: the folder of real pictures, and caches for slow work that tests repeat."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.run_order import (
    pytest_addoption,
    pytest_collection,
    pytest_collection_finish,
    pytest_collection_modifyitems,
)
from tests.skip_gate import pytest_sessionfinish, pytest_terminal_summary

__all__ = [
    "pytest_addoption",
    "pytest_collection",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "shared_data",
]

# No deadline: how long an example takes says more about the machine's load than about the code. A commit is
# always tested with the same examples, 50 unless a test names a number; a full run of the faults tries 100
# new ones per test.
FULL = os.environ.get("ALPR_FAULTS") == "full"
settings.register_profile("unhurried", deadline=None, derandomize=not FULL, max_examples=100 if FULL else 50)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures: ALPR_DATA, or `shared/data` beside the checkout; skips without one."""
    folder = Path(os.environ.get("ALPR_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}: set ALPR_DATA to their folder")
    return folder


class InTurn:
    """Salts and first passwords that are the same in each test, and never twice the same in one.

    They make a key that one test derived serve the others. What modules and the session set up stays random.
    """

    def __init__(self) -> None:
        self.in_test = False
        self._drawn: Counter[str] = Counter()

    def begin(self) -> None:
        self.in_test = True
        self._drawn.clear()

    def draw(self, what: str) -> bytes:
        """The next 32 bytes for this use."""
        self._drawn[what] += 1
        drawn = f"{what} {self._drawn[what]}".encode()
        return hashlib.sha256(drawn).digest() if self.in_test else os.urandom(32)


IN_TURN = InTurn()


@pytest.fixture(autouse=True)
def draw_in_turn() -> Iterator[None]:
    """Draw what is random in a password's key in turn, from the first, for the time of each test."""
    IN_TURN.begin()
    yield
    IN_TURN.in_test = False


@pytest.fixture(scope="session", autouse=True)
def derive_each_key_once() -> Iterator[None]:
    """Derive each key only once: it is slow on purpose, and thousands of tests share passwords.

    The same password, salt and costs always give the same seed and hash, so each is computed once. A hash
    that this run made is accepted for its password without computing it again.
    """
    if importlib.util.find_spec("argon2") is None:  # the environment of a unit
        yield
        return
    from argon2 import PasswordHasher
    from argon2.low_level import hash_secret_raw

    from storage import roster
    from sync.department.desk.people.rules import FIRST_PASSWORD_LETTERS, READABLE

    hash_new, verify, fitting = PasswordHasher.hash, PasswordHasher.verify, set[tuple[str, str]]()

    @functools.lru_cache(maxsize=4096)
    def hashed(memory: int, passes: int, lanes: int, password: str, salt: bytes) -> str:
        return hash_new(PasswordHasher(passes, memory, lanes), password, salt=salt)

    def hash_and_note(hasher: PasswordHasher, password: str) -> str:
        salt = IN_TURN.draw(f"hash of {password}")[:16]
        made = hashed(hasher.memory_cost, hasher.time_cost, hasher.parallelism, password, salt)
        fitting.add((made, password))
        return made

    def fits(hasher: PasswordHasher, made: str, password: str) -> bool:
        return (made, password) in fitting or verify(hasher, made, password)

    def first_password() -> str:
        drawn = IN_TURN.draw("first password")[:FIRST_PASSWORD_LETTERS]
        return "".join(READABLE[one % len(READABLE)] for one in drawn)

    people = "sync.department.desk.people"
    with pytest.MonkeyPatch.context() as patch:
        kept = functools.lru_cache(maxsize=4096)(hash_secret_raw)
        patch.setattr("sync.department.ground.person_key.hash_secret_raw", kept)
        patch.setattr(PasswordHasher, "hash", hash_and_note)
        patch.setattr(PasswordHasher, "verify", fits)
        patch.setattr(f"{people}.keys.new_salt", lambda: IN_TURN.draw("salt")[:16])
        for module in (f"{people}.rules", f"{people}.calls", "sync.department.server.open_desk"):
            patch.setattr(f"{module}.one_time_password", first_password)
        holds = functools.lru_cache(maxsize=256)(
            roster.password_verifier
        )  # only ever called with a salt here
        patch.setattr(roster, "password_verifier", holds)
        yield


@pytest.fixture(scope="session", autouse=True)
def verify_each_signature_once() -> Iterator[None]:
    """Verify each signature only once: thousands of tests open the same records and tree heads.

    Only valid signatures are remembered; an invalid one is verified each time.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from storage import envelope
    from storage.cosigners import CosignerKey

    verify = envelope.verify_ed25519

    @functools.lru_cache(maxsize=1 << 16)
    def holds(_key: bytes, _signature: bytes, _digest: bytes) -> set[str]:
        return set()

    def verify_new(public: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
        known = holds(public.public_bytes_raw(), signature, hashlib.sha256(message).digest())
        if not known:
            verify(public, signature, message)
            known.add("valid")

    with pytest.MonkeyPatch.context() as patch:
        for module in ("storage.envelope", "storage.checkpoint"):
            patch.setattr(f"{module}.verify_ed25519", verify_new)
        patch.setattr(CosignerKey, "verify", functools.lru_cache(maxsize=1 << 13)(CosignerKey.verify))
        yield


@pytest.fixture(scope="session", autouse=True)
def compile_each_query_once() -> Iterator[None]:
    """Compile each query only once: a run opens a store thousands of times, each time with a new engine.

    All SQLite engines here are alike, so what one compiled serves the others.
    """
    if importlib.util.find_spec("sqlalchemy") is None:  # the environment of a unit
        yield
        return
    import sqlalchemy
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as Dialect

    create, compiled = sqlalchemy.create_engine, sqlalchemy.util.LRUCache[Any, Any](4096)

    def create_sharing(url: Any, **options: Any) -> sqlalchemy.Engine:
        if sqlalchemy.make_url(url).get_backend_name() == "sqlite":
            options["execution_options"] = {"compiled_cache": compiled}
        return create(url, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dialect, "__hash__", lambda dialect: hash(type(dialect)))
        patch.setattr(Dialect, "__eq__", lambda dialect, other: type(dialect) is type(other))
        patch.setattr(sqlalchemy, "create_engine", create_sharing)
        yield
