"""What a person proved for which call, by the entries, for the key service and `verify`. No I/O.

A proof is for one call, made once. Its entry keeps what the person's authenticator, or the key from their
password, signed for exactly that call. So root at the desk, which may have a session's key, has no proof for
a call for which it asked neither. In an older log, this applies from the first such entry on.

A command logs in for its calls, and the login is its proof: the session's certificate, while it is young
enough for a proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from storage.errors import StorageError
from storage.times import HOUR_US, MINUTE_US
from sync.department.journal import statements
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import Entry
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.passkeys import UNLOCK, PasskeySet, ProvenUse, demand_answer, proof_of
from sync.department.journal.person_entries import CODE, PASSKEY, FreshProof
from sync.department.journal.second_hand_facts import forget
from sync.department.journal.statements import Statement, digest_of
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.system_terms import MAX_PROOF_MINUTES

LONGEST_US = MAX_PROOF_MINUTES * MINUTE_US
PROOFS = {CODE: "password and code", PASSKEY: "passkey"}
DEMANDING = frozenset(
    {
        "hold/place",
        "hold/export",
        "hold/release",
        "share/decide",
        "share/deliver",
        "grant/issue",
        "grant/enter",
        "grant/lend",
        "user/passkey",
        "user/remove-passkey",
    }
)
"""The calls that always need a proof, where they do not only ask a second person."""


def words_of(how: str, entry: int) -> str:
    """The name of a proof in the stamps of what it proved."""
    return f"{PROOFS[how]}, entry {entry}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonProof:
    """A person's proof: how, in which session, when; `by`: SHA-256 of the call that used it."""

    how: str
    session: bytes
    use: ProvenUse
    at_us: int
    by: bytes = b""


@dataclass(slots=True)
class PersonProofs:
    """The hour's proofs by entry; `seen`: those of a day, since a session may last that long.

    `bound`: from now on, a passkey's proof is for one call; `once`: from now on, every proof is, and only
    once; `whole`: an entry names no proof that was not made.
    """

    bound: bool = False
    once: bool = False
    whole: bool = False
    made: dict[int, PersonProof] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)

    def add(
        self,
        entry: Entry,
        note: FreshProof,
        department: bytes,
        passkeys: Sequence[PasskeySet],
        certified: Callable[[bytes], bytes],
    ) -> None:
        """Take in a proof. Raises UnsignedError if it is by another key, for another use, or not new.

        `passkeys`: those of its person; `certified`: gives the challenge that the person's key signed in a
        certificate.
        """
        if not (note.once or self.once or (note.how == PASSKEY and (note.response or self.bound))):
            return
        stamp, use = entry.stamp, ProvenUse(use=note.use, form=note.form)
        challenge = use.challenge(department, stamp.session, note.nonce)
        if note.how == PASSKEY:
            _demand_passkey(stamp.user, note, challenge, passkeys)
            self.bound = True
        elif certified(note.certificate) != challenge:
            raise UnsignedError(f"the key of {stamp.user} proved another call")
        forget(self.seen, lambda at: stamp.at_us - at >= statements.LONGEST_US)  # as long as a session lasts
        if (self.once or note.once) and challenge in self.seen:
            raise UnsignedError("the proof was made before")
        self.once = self.once or bool(note.once)
        self.seen[challenge] = stamp.at_us
        forget(self.made, lambda one: stamp.at_us - one.at_us >= HOUR_US)
        self.made[entry.sequence] = PersonProof(
            how=note.how, session=stamp.session, use=use, at_us=stamp.at_us
        )

    def named(self, stamp: Stamp) -> tuple[int, PersonProof | None]:
        """The proof that an entry names, with its entry's number; (-1, None) if none can be judged."""
        number = stamp.proven.partition(", entry ")[2]
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            return -1, None
        return int(number), self.made.get(int(number))

    def demand(self, entry: Entry, said: Statement, opened_us: int) -> None:
        """Raises UnsignedError unless an entry's proof is for this call and unused, or none is needed.

        `opened_us`: when the session's key was certified.
        """
        stamp = entry.stamp
        number, proof = self.named(stamp)
        by_passkey = stamp.proven.startswith(f"{PASSKEY},")
        if proof is None:
            if by_passkey and self.bound:
                raise UnsignedError("the passkey was asked for another call")
            if self.once and stamp.at_us - opened_us >= LONGEST_US and needs_proof(said, entry.note):
                raise UnsignedError(f"{stamp.user} made no proof for it")
            by_logon = stamp.proven.startswith(f"{PROOFS[CODE]},") and said.at_us - opened_us < LONGEST_US
            if self.whole and stamp.proven and not by_logon:
                raise UnsignedError(f"{stamp.user} did not make the proof that it names")
            return
        if (proof.session, proof.use) != (stamp.session, proof_of(said.call, said.form)):
            raise UnsignedError(f"the {PROOFS[proof.how]} was asked for another call")
        if not self.once:
            return
        by = digest_of(said)
        if proof.by not in {b"", by}:
            raise UnsignedError("the proof was used before")
        if not proof.by and not 0 <= stamp.at_us - proof.at_us < LONGEST_US:
            raise UnsignedError("the proof was made at another time")
        self.made[number] = replace(proof, by=by)

    def use_unlock(self, session: bytes, user: str, locked_us: int) -> None:
        """Use up the newest proof for an unlock of this session since it was locked. Raises UnsignedError."""
        for number, proof in reversed(self.made.items()):
            fits = (proof.session, proof.use.use) == (session, UNLOCK) and proof.at_us >= locked_us
            if fits and not proof.by:
                self.made[number] = replace(proof, by=UNLOCK.encode())
                return
        raise UnsignedError(f"{user} proved nothing that opens the session again")

    def unproven_until(self, entry: Entry, said: Statement, opened_us: int) -> int:
        """Until when an unproven entry opens anything; 0 if it needs no proof or has one.

        The opener judges this by its own clock, since root could write any time into the entry.
        """
        if not self.once or self.named(entry.stamp)[1] is not None or not needs_proof(said, entry.note):
            return 0
        return opened_us + LONGEST_US + statements.SIGNED_WITHIN_US


def needs_proof(said: Statement, note: Note) -> bool:
    """Whether this entry of a call needs a proof regardless of the desk's state: all except proposals."""
    proposed = isinstance(note, ChangeProposed) and said.fields().get("propose") is True
    return said.call in DEMANDING and not proposed


def _demand_passkey(user: str, note: FreshProof, challenge: bytes, keys: Sequence[PasskeySet]) -> None:
    key = next((one for one in keys if one.credential_id == note.credential_id), None)
    if key is None:
        raise UnsignedError(f"no passkey of {user} made it")
    try:
        demand_answer(note.response, challenge, key)
    except StorageError as error:
        raise UnsignedError(str(error)) from None
