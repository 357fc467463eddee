"""Letting somebody in: the answer to a challenge becomes a grant, or a refusal that is counted.

Every check is made before anything is believed; the order does not matter, since all of them must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.console.challenge import Answer, Challenge, check_holder
from firmware.console.unit import Unit
from storage.grant_format import (
    Bundle,
    Grant,
    check_not_revoked,
    check_time,
    check_unit,
    open_bundle,
    revocable,
)
from storage.times import DAY_US

LONGEST_S = 8 * 3600.0  # a working day; a longer job logs in again
CommandKeys = Callable[[], Sequence[Ed25519PublicKey]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who is in, and until when on CLOCK_BOOTTIME: no clock that a command can set moves that.

    names: what of it the department can take back.
    """

    grant: Grant
    names: frozenset[str]
    until_s: float


def admit(data: bytes, challenge: Challenge, unit: Unit, keys: CommandKeys, running_s: float) -> Admission:
    """Check an answer. Raises LoginRefusedError, GrantError."""
    answer = Answer.parse(data)
    bundle = Bundle.parse(answer.bundle)
    grant = open_bundle(bundle, keys())
    check_holder(answer, bundle, grant, challenge, running_s)
    check_unit(grant, unit.identity().unit)
    now_us, error_us = unit.time_us()
    check_time(grant, now_us, error_us)
    names = revocable(bundle, grant)
    check_not_revoked(names, unit.revoked())
    left_us = grant.to_us - now_us - min(error_us, DAY_US)  # as check_time counts: rather early than late
    return Admission(grant=grant, names=names, until_s=running_s + min(left_us / 1e6, LONGEST_S))
