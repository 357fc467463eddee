"""A call that is sent twice is made once: the same key, session, call and body get the first answer.

A limited number of answers is kept in memory for ten minutes, without the forms. After a restart, the call is
made again.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from storage.times import MINUTE_US
from sync.department.policy.refusals import FormError, NotYetError

REMEMBERED = 500
KEY = re.compile(r"[\x21-\x7e]{8,100}")
UNDER_WAY = "idempotency"  # a refusal's word: the same call was sent before and has no answer yet
LIFE_US = 10 * MINUTE_US


@dataclass(slots=True)
class _Made:
    body: bytes
    at_us: int
    answer: Any = field(default=None, repr=False)
    done: bool = False


class MadeOnce:
    """Remembers answers by their idempotency key. Thread-safe."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._made: OrderedDict[bytes, _Made] = OrderedDict()

    def run(  # noqa: PLR0917 - one call
        self,
        key: str,
        who: str,
        call: str,
        body: bytes,
        make: Callable[[], Any],
        check: Callable[[], None] = lambda: None,
    ) -> Any:
        """Return the answer of `make`, or the one that this key got before. With an empty key, always make
        the call.

        `check` may refuse a remembered answer, as when the session was locked or ended in the meantime.
        Raises FormError for a malformed key or one that was used with another body, and NotYetError while the
        first call is under way.
        """
        if not key:
            return make()
        if not KEY.fullmatch(key):
            raise FormError(
                "an Idempotency-Key has 8 to 100 printable ASCII characters",
                code="idempotency",
                clause="463.5",
            )
        name = hashlib.sha256(b"\x00".join((key.encode(), who.encode(), call.encode()))).digest()
        digest = hashlib.sha256(body).digest()
        with self._guard:
            known = self._made.get(name)
            if known is None or not 0 <= self._clock() - known.at_us < LIFE_US:
                known = None
                self._made[name] = made = _Made(digest, self._clock())
                while len(self._made) > REMEMBERED:
                    self._made.popitem(last=False)
            elif known.body != digest:
                raise FormError(
                    "this Idempotency-Key was used for another form", code="idempotency", clause="463.5"
                )
            elif not known.done:
                raise NotYetError(
                    "this was sent before, and is under way", code=UNDER_WAY, clause="463.5", cure="ask again"
                )
        if known is not None:
            check()
            return known.answer
        try:
            made.answer = make()
        except BaseException:
            with self._guard:
                self._made.pop(name, None)  # a refusal is not remembered
            raise
        made.done = True
        return made.answer
