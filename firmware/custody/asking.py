"""How a command reaches the door: in this process if the home is free, else over the writer's socket."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm

from firmware.custody.opening import Operation, door_of, open_ledger
from firmware.custody.ssh_key import PrivateKey, open_key, read_key
from firmware.errors import UsageError
from storage import access, codec, socket_door, ssh_signature
from storage.errors import HomeLockedError, RecordError
from storage.home import Home
from storage.ledger import Ledger
from storage.times import DAY_US, HOUR_US, MINUTE_US, now_us, parse_utc

T = TypeVar("T")
Ask: TypeAlias = Callable[[str, dict[str, Any]], dict[str, Any]]
_AGO = re.compile(r"(\d+)\s*([mhdw])")
_UNITS = {"m": MINUTE_US, "h": HOUR_US, "d": DAY_US, "w": 7 * DAY_US}
FOR_EVER_US = (1 << 62) - 1

PATIENCE_S = 30.0  # a lookup on a full card takes seconds, and ten at once wait for each other


@contextlib.contextmanager
def asking(
    home: Path, more: Callable[[Ledger], Mapping[str, Operation]] = lambda _ledger: {}
) -> Iterator[Ask]:
    """Yield a function that asks the home's door. Raises NoHomeError, LedgerError.

    If a reader holds the home, it is asked; for another command it waits up to PATIENCE_S. more: operations
    in addition to the ledger's, if this process opens the home itself.
    """
    paths = Home(home)
    paths.need()
    ledger = unless_served(home, lambda: open_ledger(home))
    if ledger is None:
        yield lambda op, body: socket_door.ask(paths, op, body)
        return
    with ledger:
        yield door_of(ledger, more(ledger)).answer


def unless_served(home: Path, work: Callable[[], T]) -> T | None:
    """Do work that opens the home; None if a reader serves it. Raises HomeLockedError, and as work does."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work()
        except HomeLockedError:
            if socket_door.is_served(Home(home)):
                return None
            if time.monotonic() >= until_s:
                raise
        time.sleep(0.05)


def signed(ask: Ask, home: Path, request: access.Request, credential: Path | None) -> dict[str, Any]:
    """The request with its proof, in the door's form. Raises UsageError without a usable credential."""
    proof = proof_of(home, request, credential, ask("challenge", {}))
    return {"request": codec.to_plain(request), "proof": codec.to_plain(proof)}


def proof_of(
    home: Path, request: access.Request, credential: Path | None, given: Mapping[str, Any]
) -> access.Proof:
    """The proof of a request for a challenge. Raises UsageError without a usable credential."""
    path = credential or Home(home).people / request.user
    proof = access.Proof(nonce=given["nonce"], signature=None, password=None)
    if credential is not None or (_plain_name(request.user) and path.is_file()):
        message = access.challenge(given["log_id"], given["nonce"], request)
        signature = ssh_signature.sign(message, _load_key(path), namespace=access.NAMESPACE)
        proof = access.Proof(nonce=given["nonce"], signature=signature, password=None)
    else:
        password = _password(request.user)
        if password is not None:
            proof = access.Proof(nonce=given["nonce"], signature=None, password=password)
    return proof


def _plain_name(user: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", user) is not None


def _load_key(path: Path) -> PrivateKey:
    try:
        return open_key("--credential", path, read_key("--credential", path))
    except UnsupportedAlgorithm:
        raise UsageError(f"--credential {path}: its cipher is unknown; make a key with ssh-keygen") from None


def _password(user: str) -> str | None:
    given = os.environ.get("READER_PASSWORD")
    if given is not None:
        return given
    return getpass.getpass(f"Password of {user}: ") if sys.stdin.isatty() else None


def time_us(text: str) -> int:
    """UTC microseconds of an ISO 8601 time (UTC if it names no zone), or of an age: 90m, 12h, 3d, 2w.

    Raises ValueError.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        at_us = now_us() - int(ago[1]) * _UNITS[ago[2]] if ago else parse_utc(text, assume_utc=True)
        return max(0, at_us)
    except (ValueError, RecordError):
        raise ValueError(
            f"{text!r} is not a time: 2026-11-24, 2026-11-24T03:15, or an age as 12h or 3d"
        ) from None
