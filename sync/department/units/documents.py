"""The documents for units: signed by the command key, versioned, and kept until a newer one comes.

`policy` and `roster` say what a unit may do and who may use it; `day-keys` are the keys that it seals to.
`hot-list/...`, `configuration`, `revocations` and `update/...` are carried by the unit, which puts them into
force. A document is COSE_Sign1 in the context alpr-reader/document/<kind>/v1, so that no kind passes as
another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select, update

from storage import codec, envelope
from storage.day_keys import DayKey, DayKeys
from storage.errors import StorageError
from storage.grant_format import REVOCATIONS
from storage.policy import CustodyPolicy, PolicyTerm
from storage.roster import Roster
from storage.times import DAY_US
from sync.department.content.key_service import DAY_KEY_DAYS, MOST_DAY_KEYS, ReceivingKeys
from sync.department.ground.home import POLICY_FILE, DepartmentHome
from sync.department.policy.named_files import command_key, signed_policy
from sync.department.policy.policy import Policy
from sync.department.policy.term_base import Term
from sync.department.store.database import Store
from sync.department.store.tables import documents, units
from sync.department.units.list_seal import sealed, unsealing
from sync.department.units.signed_rows import drop_unsigned, parsed, public_of
from sync.documents import Carried, context_of
from sync.errors import HomeError, InvalidInputError, KeyServiceAwayError, KeyServiceError
from sync.messages import MAX_DOCUMENT_BYTES, SignedDocument
from sync.root_file import Root

log_events = structlog.get_logger("department.documents")

NAME = re.compile(r"[a-z][a-z-]{0,31}(/[A-Za-z0-9._-]{1,31})?")
AT_ENROLLMENT = ("policy", "roster", "day-keys")
IF_THERE = (REVOCATIONS,)  # so that a unit that is enrolled again does not accept a revoked grant
RENEW_WHEN_LEFT_DAYS = 300
FARTHEST = 1 << 62  # no real document has such a version: an entry with it comes from a forged row
FARTHEST_DAYS = 900  # below MOST_DAY_KEYS
CLOCK_DAYS = 7  # by which a clock may have been ahead that destroyed the oldest keys
DOCUMENTS_LOCK = 463_464  # our own advisory lock in the database
Said: TypeAlias = Callable[[str, str], int]
"""The newest version of a document, for a unit or all, that the access log names; 0 if it names none."""


def unsaid(_name: str, _unit_id: str) -> int:
    """The default for `said`, for a department without a desk."""
    return 0


def sign_document(name: str, body: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a document. Raises InvalidInputError for a name or size that units refuse."""
    if not NAME.fullmatch(name):
        raise InvalidInputError("a document's name is KIND or KIND/ID in small letters", where=name)
    if len(body) > MAX_DOCUMENT_BYTES - 1024:
        raise InvalidInputError(f"is over {MAX_DOCUMENT_BYTES} bytes", where=name)
    return envelope.sign(body, key, context=context_of(name))


def publish(  # noqa: PLR0917 - one row
    connection: sa.Connection, name: str, version: int, message: bytes, now_us: int, unit_id: str = ""
) -> None:
    """Offer a document to one unit or to all. Raises InvalidInputError unless the version rises."""
    where = (documents.c.name == name) & (documents.c.unit_id == unit_id)
    held = connection.execute(select(documents.c.version).where(where)).scalar()
    if held is not None and version <= held:
        raise InvalidInputError(
            f"version {version}, but {held} was already sent: versions only rise", where=name
        )
    values = {"version": version, "message": message, "at_us": now_us}
    if held is None:
        connection.execute(insert(documents).values(name=name, unit_id=unit_id, **values))
    else:
        connection.execute(update(documents).where(where).values(values))


def in_turn(connection: sa.Connection) -> None:
    """Lock, so that only one transaction at a time offers documents; SQLite has its own lock."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({DOCUMENTS_LOCK:d})")


def version_out(connection: sa.Connection, name: str, unit_id: str = "") -> int:
    """The newest version offered; 0 if there is none."""
    query = select(documents.c.version).where(documents.c.name == name, documents.c.unit_id == unit_id)
    return int(connection.execute(query).scalar() or 0)


def next_version(connection: sa.Connection, name: str, unit_id: str, said: Said, least: int = 1) -> int:
    """The next version of a document, above all that units were ever offered.

    A store that was restored from a backup has older versions than the log names, and units accept only
    newer.
    """
    known = said(name, unit_id)
    return max(least, version_out(connection, name, unit_id) + 1, known + 1 if known < FARTHEST else 0)


def out(connection: sa.Connection, name: str) -> tuple[int, bytes]:
    """The (version, message) offered to every unit; (0, b"") if there is none."""
    query = select(documents.c.version, documents.c.message)
    row = connection.execute(query.where(documents.c.name == name, documents.c.unit_id == "")).first()
    return (int(row[0]), bytes(row[1])) if row else (0, b"")


def at_enrollment(connection: sa.Connection) -> list[SignedDocument]:
    """The documents that a new unit gets at once. Raises InvalidInputError if one was never signed."""
    query = select(documents.c.name, documents.c.message).where(
        documents.c.unit_id == "", documents.c.name.in_((*AT_ENROLLMENT, *IF_THERE))
    )
    found = {row[0]: bytes(row[1]) for row in connection.execute(query)}
    if missing := [name for name in AT_ENROLLMENT if name not in found]:
        raise InvalidInputError(f"no {missing[0]} was signed for units yet", cure="run: department enroll")
    return [
        SignedDocument(name=name, message=found[name])
        for name in (*AT_ENROLLMENT, *IF_THERE)
        if name in found
    ]


def _terms(terms: tuple[Term, ...]) -> tuple[PolicyTerm, ...]:
    return tuple(PolicyTerm(id=one.id, clause=one.clause, text=one.text) for one in terms)


def custody_policy(policy: Policy, organisation: str) -> CustodyPolicy:
    """The parts of the department's policy that bind a unit's custody."""
    made = CustodyPolicy(
        version=policy.version,
        organisation=organisation,
        keep_days=policy.retention.keep_days,
        audit_keep_days=policy.retention.log_keep_days,
        training_days=min(366, policy.training.valid_days),
        epoch_hours=policy.unit.epoch_hours,
        keep_hours_after_receipt=policy.unit.keep_hours_after_receipt,
        memory_only=policy.unit.memory_only,
        local_query=policy.unit.local_query,
        escrow=policy.unit.escrow,
        inquiry_roles=tuple(map(str, policy.unit.inquiry_roles)),
        hold_roles=tuple(map(str, policy.unit.hold_roles)),
        audit_roles=tuple(map(str, policy.unit.audit_roles)),
        purposes=_terms(policy.purposes),
        grounds=_terms(policy.holds),
        topics=tuple(one.id for one in policy.training.topics),
        case_pattern=policy.inquiry.number_pattern,
        no_read_zones=policy.unit.no_read_zones,
        alerts=policy.alerts,
    )
    made.check()
    return made


def send(  # noqa: PLR0917 - a document has these parts
    home: DepartmentHome,
    store: Store,
    name: str,
    body: bytes,
    now_us: int,
    unit_id: str = "",
    expires_us: int | None = None,
    *,
    said: Said = unsaid,
) -> int:
    """Sign and offer a document that units carry; returns its version. Raises InvalidInputError."""
    with store.write() as connection:
        in_turn(connection)
        if (
            unit_id
            and not connection.execute(select(units.c.unit_id).where(units.c.unit_id == unit_id)).first()
        ):
            raise InvalidInputError(
                f"no unit has the id {unit_id}", where="--unit", cure="department enroll --list"
            )
        command = command_key(home)
        drop_unsigned(connection, name, unit_id, public_of(command), now_us, unsealing(home))
        # in seconds: rises with every document and shows the time
        version = next_version(connection, name, unit_id, said, now_us // 1_000_000)
        carried = Carried(
            name=name, version=version, unit_id=unit_id, issued_us=now_us, expires_us=expires_us, body=body
        )
        message = sign_document(name, codec.to_bytes(carried), command)
        publish(connection, name, version, sealed(home, name, message), now_us, unit_id)
    return version


def refresh(
    home: DepartmentHome,
    store: Store,
    keys: ReceivingKeys,
    now_us: int,
    *,
    said: Said = unsaid,
    root: Root | None = None,
) -> list[str]:
    """Sign the policy and the day keys again if needed, and a first, empty roster.

    Needed: if missing, changed, older than the log says, or about to run out. Once there is a desk, it makes
    the roster (`server/roster.py`). `root`: the one that the log adopted. A policy file that it does not name
    is not signed, so units keep the last one. Raises HomeError for a command key that it does not name.
    """
    command = command_key(home, root)
    policy = _policy_to_sign(home, root)
    today = now_us // DAY_US
    done: list[str] = []
    with store.write() as connection:
        in_turn(connection)
        if policy is not None:
            drop_unsigned(connection, "policy", "", public_of(command), now_us)
        if policy is not None and version_out(connection, "policy") < policy.version:
            body = codec.to_bytes(custody_policy(policy, home.settings.name))
            publish(connection, "policy", policy.version, sign_document("policy", body, command), now_us)
            done.append("policy")
        if not said("roster", ""):
            drop_unsigned(connection, "roster", "", public_of(command), now_us)
        if not version_out(connection, "roster") and not said("roster", ""):
            body = codec.to_bytes(Roster(version=1, demo=False, people=()))
            publish(connection, "roster", 1, sign_document("roster", body, command), now_us)
            done.append("roster")
        drop_unsigned(connection, "day-keys", "", public_of(command), now_us)
        last = version_out(connection, "day-keys")
        runs_out = last - today < min(RENEW_WHEN_LEFT_DAYS, home.settings.day_keys_ahead - 1)
        if runs_out or last < _near(said, today)("day-keys", ""):
            try:
                _issue_day_keys(connection, home, keys, now_us, said)
                done.append("day-keys")
            except KeyServiceAwayError:
                raise
            except KeyServiceError as error:  # the policy and the roster are still offered
                log_events.error("day_keys_not_offered", what=error.what, cure=error.cure)  # noqa: TRY400
    return done


def _policy_to_sign(home: DepartmentHome, root: Root | None) -> Policy | None:
    try:
        return signed_policy(home, root)
    except HomeError as error:  # day keys and the roster are still offered
        log_events.error("policy_not_signed", where=error.where, what=error.what, cure=error.cure)  # noqa: TRY400
    except OSError as error:
        log_events.error("policy_not_signed", where=POLICY_FILE, what=type(error).__name__)  # noqa: TRY400
    return None


def offer_new_day_keys(
    home: DepartmentHome, store: Store, keys: ReceivingKeys, now_us: int, *, said: Said = unsaid
) -> int:
    """Offer the day keys that the key service has or makes now; returns the last day.

    Used if keys are lost for good: units seal to the new ones from their next sync on, and what was sealed to
    the lost ones is given up. Raises InvalidInputError.
    """
    with store.write() as connection:
        in_turn(connection)
        return _issue_day_keys(connection, home, keys, now_us, said, for_lost=True)


def _near(said: Said, today: int) -> Said:
    """Wraps `said` to ignore days that are too far off for real day keys; `verify` names their entry."""

    def near(name: str, unit_id: str) -> int:
        day = said(name, unit_id)
        return day if day <= today + FARTHEST_DAYS else 0

    return near


def offered_day_keys(connection: sa.Connection, now_us: int) -> tuple[DayKey, ...]:
    """The day keys that units were offered and whose private half is still kept. Raises StorageError."""
    message = out(connection, "day-keys")[1]
    keys = parsed(message, DayKeys).keys if message else ()
    return tuple(one for one in keys if one.day > now_us // DAY_US - DAY_KEY_DAYS)


def _issue_day_keys(
    connection: sa.Connection,
    home: DepartmentHome,
    keys: ReceivingKeys,
    now_us: int,
    said: Said,
    *,
    for_lost: bool = False,
) -> int:
    """Offer the document of day keys; returns its version, which is the last day that it covers.

    It also names earlier days whose private half is kept; otherwise a lost key would look like one that was
    destroyed after its year. Unless `for_lost`, raises KeyServiceError if the service's keys differ from
    those that units were offered.
    """
    command = command_key(home)
    today = now_us // DAY_US
    try:
        before = offered_day_keys(connection, now_us)
    except StorageError:
        before = ()  # the row does not hold a document
    drop_unsigned(connection, "day-keys", "", public_of(command), now_us)
    is_signed = version_out(connection, "day-keys") > 0
    last = next_version(
        connection, "day-keys", "", _near(said, today), today + home.settings.day_keys_ahead - 1
    )
    first = max(min((today, *(one.day for one in before))), last + 1 - MOST_DAY_KEYS)
    made = keys.issue_day_keys(first, last - first + 1)  # one call: a service elsewhere lists this document
    kept = {one for one in before if one.day >= max(first, today - DAY_KEY_DAYS + CLOCK_DAYS)}
    if is_signed and not for_lost and not kept <= set(made):
        raise KeyServiceError(
            "has other keys in place of the day keys that units seal to",
            where="key service",
            cure="restore its folder day/ from its backup; if they are lost for good: department keys renew",
        )
    version = made[-1].day
    body = codec.to_bytes(DayKeys(version=version, keys=made))
    publish(connection, "day-keys", version, sign_document("day-keys", body, command), now_us)
    return version
