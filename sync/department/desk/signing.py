"""Signs a call here if the token holds its session's key, as a browser's token does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sync.department.desk.desk import Desk
from sync.department.ground.person_key import read_token
from sync.department.journal.signed_forms import SIGNED_CALLS
from sync.department.journal.statements import offered, offering, sign_call


@contextlib.contextmanager
def signing(desk: Desk, token: str, name: str, form: Any) -> Iterator[None]:
    """Run what is inside as this call, with the statement that came or one by the token's key."""
    given = read_token(token)
    if given.key is None or name not in SIGNED_CALLS or offered():
        yield
        return
    at_us = max(desk.now_us(), desk.log.newest_us())  # the time of the entry's stamp, under any clock
    statement = sign_call(given.key, desk.log.log_id, given.user, name, form, at_us)
    with offering(statement):
        yield
