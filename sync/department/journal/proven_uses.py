"""What a passkey proved, and for which call, by the entries: so key service and `verify` judge it. No I/O.

The authenticator's answer is in the entry of the proof, so root at the desk has none for a call for which it
asked no authenticator. In an older log this holds from the first such entry on. A proof by a code leaves
nothing that could be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from storage.errors import StorageError
from storage.times import HOUR_US
from sync.department.journal.entries import Entry
from sync.department.journal.entry_base import Stamp
from sync.department.journal.passkeys import PasskeySet, ProvenUse, demand_answer, proof_of
from sync.department.journal.person_entries import PASSKEY, FreshProof
from sync.department.journal.second_hands import UnsignedError, forget
from sync.department.journal.statements import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyProof:
    """What a passkey proved: in which session, when."""

    session: bytes
    use: ProvenUse
    at_us: int


@dataclass(slots=True)
class PasskeyProofs:
    """The hour's proofs by their entries. `bound`: from now on each is of one call."""

    bound: bool = False
    made: dict[int, PasskeyProof] = field(default_factory=dict)

    def add(self, entry: Entry, note: FreshProof, department: bytes, keys: Sequence[PasskeySet]) -> None:
        """Take in a proof. `keys`: the passkeys of its person. Raises UnsignedError for one by no such
        passkey, or that was asked for something else."""
        if note.how != PASSKEY or not (note.response or self.bound):
            return
        stamp, use = entry.stamp, ProvenUse(use=note.use, form=note.form)
        key = next((one for one in keys if one.credential_id == note.credential_id), None)
        if key is None:
            raise UnsignedError(f"it is by no passkey of {stamp.user}")
        try:
            demand_answer(note.response, use.challenge(department, stamp.session, note.nonce), key)
        except StorageError as error:
            raise UnsignedError(str(error)) from None
        self.bound = True
        forget(self.made, lambda one: stamp.at_us - one.at_us >= HOUR_US)
        self.made[entry.sequence] = PasskeyProof(session=stamp.session, use=use, at_us=stamp.at_us)

    def demand(self, stamp: Stamp, said: Statement) -> None:
        """The passkey that an entry says it was proven by was asked for just this call. Raises
        UnsignedError."""
        _, by_passkey, number = stamp.proven.partition(f"{PASSKEY}, entry ")
        if not by_passkey or not self.bound:
            return
        proof = self.made.get(int(number)) if number.isascii() and number.isdigit() else None
        if proof is None or (proof.session, proof.use) != (stamp.session, proof_of(said.call, said.form)):
            raise UnsignedError("the passkey was asked for another call")
