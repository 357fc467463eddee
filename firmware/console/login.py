"""Admits a person: the answer to a challenge gives a grant, or a refusal that is counted.

All checks are made before anything is trusted; their order does not matter, since all of them must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.console.challenge import Challenge, ChallengeAnswer, check_holder
from firmware.console.errors import ClockLoginError
from firmware.console.grant_use import GrantUse
from firmware.console.unit import MaintainedUnit
from storage.clock_trust import TOO_FAR_US, span_text
from storage.grant_format import (
    Bundle,
    Grant,
    GrantTimeError,
    check_not_revoked,
    check_time,
    check_unit,
    open_bundle,
    revocable,
)
from storage.times import DAY_US

LONGEST_S = 8 * 3600.0  # a working day; a longer job logs in again
SURE_US = 2_000_000  # an error of the clock within this does not explain why a grant is not valid
CommandKeys = Callable[[], Sequence[Ed25519PublicKey]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who is admitted, and until when by CLOCK_BOOTTIME, which no command can set.

    names: the names by which the department can revoke it. counted: whether its use counts, because no clock
    shows its end.
    """

    grant: Grant
    names: frozenset[str]
    until_s: float
    counted: bool


def admit(
    data: bytes,
    challenge: Challenge,
    unit: MaintainedUnit,
    keys: CommandKeys,
    *,
    running_s: float,
    use: GrantUse,
) -> Admission:
    """Check an answer. Raises LoginRefusedError, GrantError; ClockLoginError if only the clock fails."""
    answer = ChallengeAnswer.parse(data)
    bundle = Bundle.parse(answer.bundle)
    grant = open_bundle(bundle, keys())
    check_holder(answer, bundle, grant, challenge, running_s)
    check_unit(grant, unit.identity().unit)
    names = revocable(bundle, grant)
    check_not_revoked(names, unit.revoked())
    now_us, error_us = unit.time_us()
    try:
        check_time(grant, now_us, error_us)
    except GrantTimeError as error:
        ahead_us = unit.log_ahead_us()
        if now_us - ahead_us <= grant.to_us < now_us and ahead_us > TOO_FAR_US:
            raise ClockLoginError(
                f"by this unit's clock the grant holds, but its log's time is {span_text(ahead_us)} ahead of "
                "the clock and never goes back: no new grant helps. Connect the unit's network: after its "
                "next sync, which needs no login, a new log has the department's time",
                grant,
            ) from None
        if error_us <= SURE_US:
            raise
        raise ClockLoginError(str(error), grant) from None
    left_us = grant.to_us - max(now_us, grant.issued_us)
    counted = error_us >= DAY_US
    if counted:  # no clock: the grant's length limits all sessions together
        left_us = min(left_us, grant.to_us - grant.from_us - round(use.used_s(grant.grant_id) * 1e6))
        if left_us <= 0:
            raise ClockLoginError("the grant's length is used up, and this unit's clock is not set", grant)
    else:
        left_us -= error_us  # as in check_time: rather early than late
    until_s = running_s + min(left_us / 1e6, LONGEST_S)
    return Admission(grant=grant, names=names, until_s=until_s, counted=counted)
