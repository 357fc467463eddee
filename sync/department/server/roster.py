"""The desk's people as the signed roster that units sync: roles, keys, training and its end, revocation.

A unit knows people only from the desk's log, never from a separate list. Whenever its content changes, the
roster is sent again under the next version. A removed person stays on it as revoked. Passwords do not leave
the desk: at a unit, a person authenticates with the SSH key that the administrator entered.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import codec, envelope, files
from storage.errors import StorageError
from storage.roster import Roster, RosterPerson
from sync.department.desk.desk import Desk
from sync.department.desk.people.training import is_whole
from sync.department.desk.state import DeskState
from sync.department.ground.home import DepartmentHome
from sync.department.journal.entries import AccountSet
from sync.department.policy.named_files import command_key
from sync.department.store.database import Store
from sync.department.units import documents
from sync.department.units.signed_rows import drop_unsigned, public_of
from sync.documents import context_of
from sync.messages import MAX_DOCUMENT_BYTES

NAME = "roster"
LOCK_FILE = "roster.lock"


def people_of(book: DeskState, now_us: int) -> tuple[RosterPerson, ...]:
    """Everybody who ever held a role, by name, as units are to know them now."""
    found = (_person(book, account, now_us) for _, account in sorted(book.roster.accounts.items()))
    return tuple(person for person in found if person is not None)


def _person(book: DeskState, account: AccountSet, now_us: int) -> RosterPerson | None:
    roles = book.policy.effective_roles(account.roles or book.roster.last_roles.get(account.user, ()))
    if not roles:
        return None
    done = book.trainings.newest.get(account.user)
    wanted = {topic.id for topic in book.policy.training.topics}
    whole = done is not None and is_whole(book.policy, book.trainings, done, now_us)
    return RosterPerson(
        user=account.user,
        roles=tuple(str(role) for role in roles),
        organisation=account.organisation,
        ssh_keys=account.ssh_keys,
        password=None,
        trained_us=done.held_us if done else 0,
        topics=tuple(sorted(wanted)) if whole else (),
        trainer=done.trainer if done else "",
        revoked=not account.active,
    )


def publish(home: DepartmentHome, store: Store, desk: Desk) -> int | None:
    """Sign and offer the roster if it changed; its version, or None. Raises SyncError, StorageError."""
    command = command_key(home, desk.root)
    with files.turn(desk.log.folder / LOCK_FILE):  # otherwise an older roster could be sent after a newer one
        desk.refresh()
        with desk.looking() as book:
            people = people_of(book, desk.now_us())
        return _publish(store, people, command, desk.now_us(), desk.book.sent.version)


def _publish(
    store: Store,
    people: tuple[RosterPerson, ...],
    command: Ed25519PrivateKey,
    now_us: int,
    said: documents.Said,
) -> int | None:
    with store.write() as connection:
        documents.in_turn(connection)
        public = public_of(command)
        drop_unsigned(connection, NAME, "", public, now_us)
        held, message = documents.out(connection, NAME)
        is_behind = held < said(NAME, "")
        if message and not is_behind and _people_in(message, public) == people:
            return None
        version = documents.next_version(connection, NAME, "", said)
        body = codec.to_bytes(Roster(version=version, demo=False, people=people))
        documents.publish(connection, NAME, version, documents.sign_document(NAME, body, command), now_us)
    return version


def is_out(store: Store, desk: Desk) -> bool:
    """Whether units are offered what the desk knows. Raises StoreError."""
    command = desk.root.other("command")
    with store.listing() as connection:
        _, message = documents.out(connection, NAME)
    try:
        with desk.looking() as book:
            people = people_of(book, desk.now_us())
        return command is not None and bool(message) and _people_in(message, command) == people
    except StorageError:
        return False


def _people_in(message: bytes, command: bytes) -> Sequence[RosterPerson]:
    payload = envelope.open_signed(
        message,
        Ed25519PublicKey.from_public_bytes(command),
        context=context_of(NAME),
        limit=MAX_DOCUMENT_BYTES,
    )
    return codec.from_bytes(Roster, payload, limit=MAX_DOCUMENT_BYTES).people
