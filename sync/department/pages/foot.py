"""The footer of every page: whether the witness saw the log, and where the keys are."""

from __future__ import annotations

from dataclasses import dataclass

from storage.counts import counted
from storage.times import MINUTE_US
from sync.department.desk.context import DeskContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Foot:
    """The footer's content. `well`: whether answers leave with a witness's signature."""

    witness: str
    well: bool
    keys: str
    policy: str


def foot_of(front: DeskContext, now_us: int) -> Foot:
    """The footer as this process knows it, without asking the witness."""
    desk = front.desk
    size, signed = desk.log.size(), desk.log.cosigned()[0]
    away = desk.book.away
    if desk.root.witnessing() is None:
        witness, well = "no witness is named: no answer leaves", False
    elif desk.fork:
        witness, well = "has another log than this one: no answer leaves", False
    elif away is not None and signed <= away.sequence:
        minutes = max(0, now_us - away.stamp.at_us) // MINUTE_US
        grace = desk.policy.witness.grace_minutes
        witness, well = f"away for {minutes} of {counted(grace, 'minute')}", False
    else:
        newer = size - signed
        later = f"; {newer} newer before the next answer leaves" if newer else ""
        witness, well = f"signed {signed} of {size} entries{later}", True
    return Foot(
        witness=witness,
        well=well,
        keys="on a separate machine" if front.keys_elsewhere else "in this server's own process",
        policy=f"version {desk.policy.version}",
    )
