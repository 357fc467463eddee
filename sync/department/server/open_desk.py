"""Opens the desk of a department's home: log, witness, reads, the guard of the keys, the vault."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import structlog

from storage import files
from storage.errors import ExplainedError, SealError, SignatureError
from sync.department.content import package
from sync.department.content.alert_records import StoreAlerts
from sync.department.content.key_service import ReceivingKeys
from sync.department.content.read_store import StoreReads
from sync.department.content.reads import OpenedRead
from sync.department.content.vault import HOLDS, FolderVault
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Desk
from sync.department.desk.documents.updates import UpdateTrust
from sync.department.desk.grants.signer import GrantOffice
from sync.department.desk.log_state import FOLDER
from sync.department.desk.owed import Late, Overdue
from sync.department.desk.people import rules as people
from sync.department.desk.people.calls import HandedOver
from sync.department.desk.people.challenges import Site
from sync.department.desk.people.rules import one_time_password, totp_uri
from sync.department.ground.bell import Bell
from sync.department.ground.department_time import DepartmentTime
from sync.department.ground.home import POLICY_FILE, DepartmentHome
from sync.department.journal.access_log import DATABASE, KEYS
from sync.department.journal.entries import AccountSet
from sync.department.journal.publisher import WitnessLinks
from sync.department.journal.witness_link import AbsentWitness, WitnessLink, link_of
from sync.department.policy.named_files import signed_policy
from sync.department.policy.policy_file import checked_policy
from sync.department.policy.roles import Role
from sync.department.policy.system_terms import first_kept_day
from sync.department.server import lost_rows, offered, older_store, roster, unit_office
from sync.department.server.counted_before import CountedBefore
from sync.department.server.desk_keys import open_keys
from sync.department.server.desk_traces import EXPORTS, demand_no_desk, log_is_here
from sync.department.server.images_reach import ImagesReach
from sync.department.server.keys_traces import demand_keys
from sync.department.server.machine_due import ending_in_machine, overdue_in_store, overdue_kept_store
from sync.department.server.machine_state import StoredState
from sync.department.server.peer_certificates import PeerCertificates, peers_of, shown_by
from sync.department.server.root_adopted import demand_adopted, demand_named, overdue_root
from sync.department.server.server import Department
from sync.department.store import incidents
from sync.department.store.blobs import PackStore, open_packs
from sync.department.store.database import Store
from sync.department.store.opening import open_store_of
from sync.department.units import documents, hot_lists
from sync.department.units.outgoing_list import OutgoingList
from sync.enrollment_code import EnrollmentCode
from sync.errors import ROOM, HomeError, LackingError
from sync.hot_lists.document import LOCAL
from sync.root_file import Root, RootWitness, describe, open_first

P = ParamSpec("P")
T = TypeVar("T")

log_events = structlog.get_logger("department.desk")
RESTORED = "restore it from its backup; what is here is evidence: keep a copy of it"


def has_desk(home: DepartmentHome, store: Store | None = None) -> bool:
    """Whether there was a first administrator, since when each change is a person's logged call.

    `store`: the home's, if it is open. Raises HomeError if the log is gone, since a new one would lack every
    lookup that was made.
    """
    if log_is_here(home):
        return True
    demand_no_desk(home, store)
    return False


def open_desk(
    home: DepartmentHome,
    *,
    clock: Callable[[], int] | None = None,
    link: WitnessLink | None = None,
    adopting: bool = False,
) -> Desk:
    """Open the desk of a home, on the department's time unless a clock is given. `link`: reaches every
    witness.

    `adopting`: for the ceremony that puts the root file there. Raises HomeError before the first
    administrator is entered, and if the root file is not the one that the log adopted.
    """
    if not has_desk(home):
        raise HomeError(
            "this department has no desk yet", where=str(home.path), cure="department user first USER"
        )
    given = link

    def reached(one: RootWitness) -> WitnessLink:  # by the log's policy, since the file may change meanwhile
        return given or link_of(one.url, approved=desk.policy.security.approved)

    links = WitnessLinks(reached)
    if clock is None:
        clock = DepartmentTime(home.path)
    desk = _opened(home, links, clock)
    try:
        if isinstance(clock, DepartmentTime):
            clock.known(desk.log.newest_us())
        if not adopting:
            demand_adopted(home, desk)
        demand_named(home, desk.root)
    except BaseException:
        desk.close()
        raise
    return desk


def _opened(home: DepartmentHome, links: WitnessLinks, clock: Callable[[], int]) -> Desk:
    """Open the desk.

    Raises HomeError for a log or log key that is damaged or another home's, and LackingError if the disk is
    full.
    """
    folder = home.path / FOLDER
    try:
        return Desk(home.path, home.log_key(), links, clock=clock)
    except sqlite3.DatabaseError as error:
        if files.is_full(error):
            what = "the disk is full: the access log does not open without room beside it"
            raise LackingError(what, where=str(folder / DATABASE), cure=ROOM) from None
        what, cure = f"the access log cannot be read: {error}", RESTORED
        if "locked" in str(error):
            what, cure = "another program is writing to the access log", "try again"
        raise HomeError(what, where=str(folder / DATABASE), cure=cure) from None
    except SignatureError as error:
        what = f"is not the key of the access log here: {error.what}"
        raise HomeError(what, where=str(home.path / "log.key"), cure="restore it from its backup") from None
    except SealError as error:
        cure = (
            "restore the audit keys from their backup; if they are right, department verify names the entry"
        )
        raise HomeError(f"do not open the access log: {error}", where=str(folder / KEYS), cure=cure) from None


def first_administrator(
    home: DepartmentHome, user: str, name: str, *, clock: Callable[[], int] | None = None
) -> HandedOver:
    """Make the desk's log with its root, and the first account. Raises HomeError if this was done before."""
    clock = clock or DepartmentTime(home.path)
    if not has_desk(home):
        signed_policy(home)  # reports a file that is missing, damaged or another home's
        Desk.create(
            home.path,
            home.log_key(),
            WitnessLinks(lambda _one: AbsentWitness()),
            root_file=home.root_file.read_bytes(),
            policy_document=home.policy_document(),
            clock=clock,
        ).close()
    desk = open_desk(home, clock=clock)
    try:
        account = AccountSet(
            user=user,
            name=name,
            organisation=desk.policy.department,
            roles=(Role.ADMINISTRATOR,),
            shift=None,
            active=True,
            reason="first administrator",
            ssh_keys=(),
        )
        people.check_account(desk.policy, account)
        with desk.log.writing():
            desk.refresh()
            if desk.book.roster.accounts:
                raise HomeError(
                    "the first administrator already exists",
                    where=str(home.path),
                    cure="they add people: department user set; if no administrator can log in, two offices "
                    "name one: department keys administrator",
                )
            entry = desk.system(account)[0]
        password = one_time_password()
        terms = desk.policy.security
        credential = people.new_credential(terms, user, password, clock(), first=True)
        desk.set_credential(credential, entry.stamp)
        return HandedOver(
            user=user,
            password=password,
            totp_uri=totp_uri(credential.user, credential.totp, desk.policy.department),
        )
    finally:
        desk.close()


def open_front(
    home: DepartmentHome,
    *,
    store: Store | None = None,
    keys: ReceivingKeys | None = None,
    packs: PackStore | None = None,
    clock: Callable[[], int] | None = None,
    link: WitnessLink | None = None,
    bell: Bell | None = None,
    replacing: bool = False,
    lost_keys: Callable[[], Sequence[str]] = tuple,
) -> DeskContext:
    """Open everything that the desk's calls need. The server passes what it already has open. Raises
    HomeError.

    `lost_keys`: why the receiver could not take reads in, if it runs in this process. `replacing`: for the
    ceremony that adopts a root file, which may be needed because a key service or the file is lost.
    """
    clock = clock or DepartmentTime(home.path)
    with contextlib.ExitStack() as opening:
        desk = open_desk(home, clock=clock, link=link, adopting=replacing)
        opening.callback(desk.close)
        if store is None:
            store = open_store_of(home)
            opening.callback(store.close)
        if not replacing:
            demand_keys(home, store, clock())
        used = open_keys(home, desk, keys, clock)
        opening.callback(used.close)
        packs = packs or open_packs(home)
        opened = opening.pop_all()
    desk.logons.site = site_of(home)
    images = ImagesReach(store, packs)
    peers = PeerCertificates(
        lambda: peers_of(home, desk.root if link is None else None),
        functools.partial(shown_by, approved=home.fips),
    )
    held, kept, said, service = store, packs, older_store.said_by(desk), used.receiving
    key, alerts = home.log_key(), StoreAlerts(held)

    def first_day() -> int:
        return first_kept_day(clock(), desk.policy.retention.keep_days)

    def packed(reads: list[OpenedRead], order: package.PackageOrder) -> bytes:
        maker = package.Maker(
            department=desk.policy.department,
            key=key,
            authority=home.evidence,
            created_us=clock(),
            zone=desk.policy.zone,
        )
        return package.build(reads, order, maker)

    def entered(work: Callable[P, T]) -> Callable[P, T]:
        return offered.entering(home, desk, held, work)

    return DeskContext(
        desk=desk,
        reads=StoreReads(held, kept, first_day),
        door=used.door,
        vault=FolderVault(home.path / FOLDER / HOLDS),
        package=packed,
        overdue_from_store=lambda moment: [
            *overdue_root(home, desk),
            *older_store.overdue(held, desk),
            *offered.overdue_unsigned(home, desk, held),
            *overdue_in_store(held, desk, alerts, moment),
            *overdue_kept_store(home),
            *used.overdue(),
            *images.overdue(),
            *(Overdue(kind=Late.KEYS, clause="463.8", what=one) for one in lost_keys()),
        ],
        notify_units=entered(lambda: _notify_units(home, held, desk)),
        send_down=entered(lambda: _send_down(home, held, service, desk)),
        sign_document=entered(
            lambda name, body, now, unit: documents.send(home, held, name, body, now, unit, said=said)
        ),
        update_trust=functools.partial(UpdateTrust.of, home.path),
        exports=home.path / EXPORTS,
        incidents=StoreIncidents(held),
        grants=GrantOffice(home, held, said),
        alerts=alerts,
        finish_lists=lambda list_id: hot_lists.finish_all(home, held, list_id),
        publish_list=entered(
            lambda offer, entries, now: hot_lists.publish_list(home, held, offer, entries, now, said=said)
        ),
        lists_out=lambda: hot_lists.listed(home),
        list_entries=lambda list_id: hot_lists.entries_of(home, list_id),
        entries_under=lambda list_id, keys: hot_lists.entries_under(home, list_id, keys),
        lists_mark=lambda: hot_lists.marks(home),
        own_list=OutgoingList(home, LOCAL),
        state=StoredState(held),
        new_code=lambda: _new_code(home, desk, held, clock),
        let_join=lambda name, code: unit_office.let_join(
            *(home, held, service, name, code, clock), said=said, root=desk.root
        ),
        shut_out=lambda unit, why: unit_office.enrollment_of(home, held, clock).revoke(unit, why),
        take_reset=lambda receipt: unit_office.take_reset(held, receipt, clock),
        purge=lambda: unit_office.purge(home, held, service, kept, desk, clock, key),
        lacking=functools.partial(lost_rows.lacking, held, desk),
        offer_cleared=lambda: older_store.offer_cleared(home, held, desk),
        enter_sent=lambda: offered.enter(home, desk, held),
        keys_list=used.lines_from,
        bell=bell or Bell(),
        close=opened.close,
        time=clock if isinstance(clock, DepartmentTime) else None,
        ending=lambda: [*ending_in_machine(home, held, desk.now_us), *peers.ending()],
        ask_peers=peers.ask,
        keys_elsewhere=used.elsewhere,
    )


def site_of(home: DepartmentHome) -> Site:
    """The site that this department's passkeys are for: the desk's address in a browser."""
    settings = home.settings
    port = "" if settings.desk_port == 443 else f":{settings.desk_port}"
    return Site(rp_id=settings.host, origin=settings.desk_origin or f"https://{settings.host}{port}")


class StoreIncidents:
    """The store's table of incidents, for the desk."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listed(self) -> list[incidents.StoredIncident]:
        with self._store.listing() as connection:
            return incidents.listed(connection)

    def settle(self, number: int, first: str, second: str, at_us: int) -> None:
        with self._store.write() as connection:
            incidents.settle(connection, number, first, second, at_us)


def _notify_units(home: DepartmentHome, store: Store, desk: Desk) -> None:
    """Offer units the roster. If it cannot be signed now, the entry remains and compliance shows the old
    roster."""
    try:
        version = roster.publish(home, store, desk)
    except ExplainedError as error:
        log_events.warning("roster_not_sent", kind=type(error).__name__)
        return
    if version is not None:
        log_events.info("roster_out", version=version)


def offer_roster(home: DepartmentHome, desk: Desk) -> None:
    """Offer units the roster at once after a ceremony, which opens no store of its own. A server that runs
    would offer it only daily: until then a removed administrator would stay on the units."""
    try:
        store = open_store_of(home)
    except ExplainedError as error:
        log_events.warning("roster_not_sent", kind=type(error).__name__)
        return
    with contextlib.closing(store):
        _notify_units(home, store, desk)


def _send_down(home: DepartmentHome, store: Store, keys: ReceivingKeys, desk: Desk) -> list[str]:
    desk.refresh()
    offered.drop_all_unsigned(home, desk, store)
    return older_store.send_down(home, store, keys, desk)


def _newest_root(desk: Desk) -> Root:
    desk.refresh()  # another process may have adopted one
    return desk.root


def _new_code(home: DepartmentHome, desk: Desk, store: Store, clock: Callable[[], int]) -> EnrollmentCode:
    """Make a code with the digest of the adopted root file, which the new unit trusts. Raises HomeError."""
    demand_adopted(home, desk)
    return unit_office.enrollment_of(home, store, clock).new_code()


def adopt_root(home: DepartmentHome, desk: Desk, root_file: bytes, policy_document: bytes) -> Root:
    """Put a root in force at the desk and in the home's files. Raises StorageError."""
    if describe(root_file)[0].digest() == desk.root.digest():
        root = open_first(root_file, desk.root.digest())  # a crash came between the entry and the files
        checked_policy(root, policy_document)
    else:
        root = desk.set_root(root_file, policy_document)
    files.replace(home.path / POLICY_FILE, policy_document)
    files.replace(home.root_file, root_file)
    desk.try_cover(desk.log.size() - 1)
    return root


def front_of(department: Department) -> DeskContext | None:
    """The desk of a running server, over what that already has open; None before its first administrator."""
    home = department.home
    if not has_desk(home, department.store):
        return None
    front = open_front(
        home,
        store=department.store,
        keys=department.keys,
        packs=department.packs,
        clock=department.time,
        bell=department.bell,
        lost_keys=department.receiver.lost_keys,
    )
    department.purge_through = lambda: front.desk.book.purge_through
    department.demand_root = lambda: demand_adopted(home, front.desk)
    department.root = lambda: _newest_root(front.desk)
    department.said = older_store.said_by(front.desk)
    mark = home.path / "restored"
    before = CountedBefore(department.store, front.desk, mark)
    department.counted = before.day_of
    department.first_purge = functools.partial(older_store.first_purge, front.desk)
    department.ended = functools.partial(older_store.ended, department.store, front.desk)
    return front
