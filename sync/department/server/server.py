"""The running server: uvicorn behind TLS 1.3, one port for units (client certificates), one for people.

TLS only admits a client. Slow and silent clients are cut off before they cost memory: the handshake, the
header and every wait for a body have a time limit. The daily purge and the renewal of the server's
certificate run here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import signal
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from storage.counts import counted
from storage.errors import ExplainedError, StorageError
from storage.reserve import MB, Reserve
from storage.times import HOUR_US, MINUTE_US, SECOND_US
from sync.department.content.key_remote import address_of, service_of
from sync.department.ground.bell import Bell
from sync.department.ground.department_time import AHEAD, SET_CLOCK, Clocks, DepartmentTime
from sync.department.ground.home import SETTINGS_FILE, DepartmentHome
from sync.department.ground.ports import demand_free
from sync.department.ground.tls import tls_context
from sync.department.journal.hold_entries import Purged
from sync.department.server.keys_traces import demand_own_store
from sync.department.server.retention import AnyReceipt, StoreRetention, keep_days_of
from sync.department.store.blobs import open_packs
from sync.department.store.database import newest_in
from sync.department.store.opening import open_store_of
from sync.department.store.partials import Partials
from sync.department.units import documents, list_seal
from sync.department.units.authority import Authority
from sync.department.units.enrollment import Enrollment
from sync.department.units.http_app import front_app, unit_app
from sync.department.units.receiver import Receiver
from sync.errors import InvalidInputError
from sync.root_file import Root

if TYPE_CHECKING:
    from sync.department.ground.listener import BoundedServer

log_events = structlog.get_logger("department.server")
FIRST_PURGE_S = 60.0  # how long a start waits for a purge; keys elsewhere that hang open nothing due
RESERVE_BEYOND = 64 * MB  # free space besides the reserve, before the reserve is made again


def served_names(home: DepartmentHome) -> tuple[str, ...]:
    """The names in the server's certificate."""
    names = list(dict.fromkeys((home.settings.host, *home.settings.former)))
    listen = home.settings.listen
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(listen).is_unspecified and listen not in names:
            names.append(listen)
    return tuple(names)


def demand_known_name(department: Department) -> None:
    """Refuse a next certificate without a name that it had, if units joined. Raises InvalidInputError.

    They would refuse it until they get a new code.
    """
    home = department.home
    lost = department.authority.lost_names(served_names(home))
    if not lost:
        return
    before = ", ".join(lost)
    units = sum(one.revoked_us is None for one in department.enrollment.listed())
    if units:
        raise InvalidInputError(
            f"was {before} before, and {counted(units, 'unit')} may know this server only by that name: "
            "without it in the certificate they would refuse the server",
            where=f"{home.path / SETTINGS_FILE}: host",
            cure=f"name {before} in former_hosts, even if you do not know what uses it; "
            "let it lead here too. If you are sure that no unit uses it, instead remove "
            f"{home.authority / 'server.pem'}",
        )


class Department:
    """Everything that one home's server holds, wired together. `close` releases it."""

    def __init__(self, home: DepartmentHome, clocks: Clocks | None = None, *, changes: bool = True) -> None:
        """Open a home.

        `changes`: bring the store up to date, renew the authority, and make what is missing. Without it
        nothing in the home changes, for commands that only look.
        """
        self.home = home
        self.purge_through: Callable[[], int] = lambda: -1
        self.demand_root: Callable[[], None] = lambda: None
        self.root: Callable[[], Root | None] = lambda: None
        self.said: documents.Said = documents.unsaid
        self.ended: Callable[[str], bool] = lambda _unit: False
        self.counted: Callable[[int, int, str], int | None] = lambda _log, _sequence, _name: None
        self.first_purge: Callable[[int], Purged | None] = lambda _day: None
        self.bell = Bell()
        self.time = DepartmentTime(home.path, clocks, keeps=changes)
        self._reserve = Reserve(home.path)
        if changes:
            self._reserve.spend_if_short()  # so the database opens and what is due is purged first
        self.authority, log_key = Authority.open(home.authority, self.time), home.log_key()
        self.store = open_store_of(home, migrate=changes)
        try:
            self.time.known(newest_in(self.store))
            if changes:
                demand_own_store(home, self.store, log_key.public_key())
        except BaseException:
            self.store.close()
            raise
        keep_days = functools.partial(keep_days_of, home)
        self.keys = service_of(home, self.time, keep_days, makes=changes)
        self.packs = open_packs(home, makes=changes)
        if changes:
            self.authority.renew()
        self._partials = Partials(home.path / "partial", makes=changes)
        if changes:
            self._keep_reserve()
        settings = home.settings
        self.receiver = Receiver(
            self.store,
            self.keys,
            self.packs,
            log_key,
            settings.name,
            self.time,
            certificate_days=settings.certificate_days,
            partials=self._partials,
            heard=self.time.confirm_unit,
            alerted=self.bell.ring,
            signed=list_seal.unsealing(home),
            ended=self._is_ended,
            counted=self._counted_before,
        )
        self.enrollment = Enrollment(
            self.store,
            self.authority,
            log_key,
            settings,
            home.root_file,
            self.time,
            ended=self._is_ended,
        )
        self.retention = StoreRetention(
            self.store,
            self.keys,
            self.packs,
            log_key,
            settings,
            self.time,
            keep_days=keep_days,
            first=self._first_purge,
            make_room=self._reserve.spend_if_short,
            on_way=self.receiver.is_on_way,
        )

    def _counted_before(self, log_no: int, sequence: int, name: str) -> int | None:
        return self.counted(log_no, sequence, name)

    def _first_purge(self, day: int) -> Purged | None:
        return self.first_purge(day)

    def _is_ended(self, unit_id: str) -> bool:
        return self.ended(unit_id)

    def retain(self) -> list[AnyReceipt]:
        """Run the daily purge: whole days of receipt, with receipts, and abandoned pieces.

        It uses only the root file and policy that the log adopted.
        """
        self.demand_root()
        try:
            return self.retention.run(self.purge_through())
        finally:
            self._partials.drop_older(keep_days_of(self.home), self.time())
            self._keep_reserve()

    def _keep_reserve(self) -> None:
        """Reserve room for a purge to begin on a full disk, if the database is on this machine."""
        if not self.store.postgres:
            self._reserve.keep(beyond=RESERVE_BEYOND)

    def close(self) -> None:
        self.keys.close()
        self.store.close()


def _server(
    app: Any, context: ssl.SSLContext, home: DepartmentHome, port: int, *, strangers: bool
) -> BoundedServer:
    from sync.department.ground.listener import BoundedServer, Bounds  # noqa: PLC0415 - only where it serves

    bounds = Bounds(open=home.settings.max_connections, strangers=strangers)
    proxy = home.settings.trusted_proxy if strangers else ""
    return BoundedServer(app, home.settings.listen, port, context, bounds, proxy=proxy)


def renew_server(department: Department, contexts: Sequence[ssl.SSLContext]) -> None:
    """Renew the certificates of the CA and the server if they end soon. New connections get them."""
    renewed = department.authority.renew()
    certificate, key = department.authority.server_files(served_names(department.home))
    for context in contexts:
        context.load_cert_chain(certificate, key)
        if renewed and context.verify_mode is ssl.CERT_REQUIRED:
            context.load_verify_locations(department.home.authority / "ca.pem")


def _renew_documents(department: Department) -> None:
    """Sign policy and day keys for units again in time, even if the department has no desk yet.

    This also seals lists that an earlier version kept unsealed.
    """
    try:
        list_seal.seal_stored(department.home, department.store)
    except StorageError as error:  # purge and renewal follow anyway
        log_events.error("lists_not_sealed", where=error.where, what=error.what, cure=error.cure)  # noqa: TRY400
    if (department.home.path / "command.key").exists():  # otherwise its holder signs them by hand
        documents.refresh(
            *(department.home, department.store, department.keys, department.time()),
            said=department.said,
            root=department.root(),
        )


async def _ask(ask_time: Callable[[], None]) -> None:
    """Ask the witnesses for the time."""
    try:
        await asyncio.to_thread(ask_time)
    except Exception as error:  # noqa: BLE001 - the server must live; compliance shows a clock in doubt
        log_events.error("clock_not_asked", kind=type(error).__name__)  # noqa: TRY400


async def _purge(
    department: Department, contexts: Sequence[ssl.SSLContext], ask_time: Callable[[], None]
) -> None:
    """Renew the certificate and run the daily purge, after asking the witnesses for the time.

    A full disk makes the renewal fail, and needs the purge.
    """
    await _ask(ask_time)
    try:
        renew_server(department, contexts)
    except Exception as error:  # noqa: BLE001 - the purge comes all the same; the calendar shows when it ends
        log_events.error("certificate_not_renewed", kind=type(error).__name__)  # noqa: TRY400
    try:
        done = await asyncio.to_thread(department.retain)
        log_events.info("retention_ran", purged_days=len(done))
    except Exception as error:  # noqa: BLE001 - the server must live; compliance shows a purge that is late
        what = error.what if isinstance(error, ExplainedError) else ""
        log_events.error("retention_failed", kind=type(error).__name__, what=what)  # noqa: TRY400


async def _await_purge(purged: asyncio.Task[None], stop: asyncio.Event, *, limit_s: float | None) -> None:
    """Wait until the first purge has ended, the server is to stop, or the limit is reached."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({purged, stopped}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


async def _retain(
    department: Department,
    contexts: Sequence[ssl.SSLContext],
    daily: Callable[[], None],
    ask_time: Callable[[], None],
    stop: asyncio.Event,
    *,
    purged: asyncio.Task[None],
) -> None:
    """After the first purge, do the daily work; then purge at its hour and do the daily work, day by day."""
    await purged
    while not stop.is_set():
        try:
            await asyncio.to_thread(_renew_documents, department)
        except Exception as error:  # noqa: BLE001 - what the day brought is counted all the same
            log_events.error("documents_not_renewed", kind=type(error).__name__)  # noqa: TRY400
        try:
            if not stop.is_set():
                await asyncio.to_thread(daily)
        except Exception as error:  # noqa: BLE001 - as above
            log_events.error("daily_failed", kind=type(error).__name__)  # noqa: TRY400
        minute = department.time() // MINUTE_US
        left = (department.home.settings.purge_hour * 60 - minute) % (24 * 60) or 24 * 60
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), left * 60)
        if not stop.is_set():
            await _purge(department, contexts, ask_time)


async def _each_hour(hourly: Callable[[], None], stop: asyncio.Event) -> None:
    """Run `hourly` at the start and then every hour."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(hourly)
        except Exception as error:  # noqa: BLE001 - the server must live; compliance shows what is late
            log_events.error("hourly_failed", kind=type(error).__name__)  # noqa: TRY400
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 3600)


async def _watch_clock(time: DepartmentTime, ask_time: Callable[[], None], stop: asyncio.Event) -> None:
    """Ask for the time every hour, and every minute while the clock is in doubt."""
    asked, doubted = time.running_us(), False
    while not stop.is_set():
        doubt = time.doubt()
        if doubt is not None or time.running_us() - asked >= HOUR_US:
            await _ask(ask_time)
            asked, doubt = time.running_us(), time.doubt()
        if doubt is not None and not doubted:
            seconds = doubt.by_us // SECOND_US
            log_events.warning(
                "clock_in_doubt", ahead=doubt.direction == AHEAD, seconds=seconds, cure=SET_CLOCK
            )
        elif doubt is None and doubted:
            log_events.info("clock_believed")
        doubted = doubt is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 60)


async def serve(
    department: Department,
    desk_routes: list[Any],
    ready: Callable[[int, int], None],
    daily: Callable[[], None] = lambda: None,
    hourly: Callable[[], None] = lambda: None,
    *,
    ask_time: Callable[[], None] = lambda: None,
) -> None:
    """Purge, then listen, until SIGTERM or SIGINT.

    With a key service elsewhere, the server listens after a minute even if the purge hangs. A signal during
    that purge ends the server after it, without listening. `ready` gets the two ports once both listen;
    `daily` follows a purge; `ask_time` asks the witnesses.
    """
    home, settings = department.home, department.home.settings
    demand_free(settings.listen, settings.unit_port, f"{SETTINGS_FILE}: unit_port")
    demand_free(settings.listen, settings.desk_port, f"{SETTINGS_FILE}: desk_port")
    demand_known_name(department)
    certificate, key = department.authority.server_files(served_names(home))
    contexts = (
        tls_context(certificate, key, clients_of=home.authority / "ca.pem", approved=home.fips),
        tls_context(certificate, key, approved=home.fips),
    )
    units = _server(
        unit_app(department.receiver, department.enrollment, seconds=settings.request_seconds),
        contexts[0],
        home,
        settings.unit_port,
        strangers=False,
    )
    front = _server(
        front_app(department.receiver, department.enrollment, desk_routes, seconds=settings.request_seconds),
        contexts[1],
        home,
        settings.desk_port,
        strangers=True,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        department.bell.close()
        units.should_exit = front.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    # a restored backup has what became due since
    purged = asyncio.create_task(_purge(department, contexts, ask_time))
    await _await_purge(purged, stop, limit_s=FIRST_PURGE_S if address_of(home) is not None else None)
    if stop.is_set():
        await purged
        return
    async with asyncio.TaskGroup() as group:
        for server in (units, front):
            group.create_task(server._serve())  # `serve` would install its own signal handlers
        while not (units.started and front.started) and not stop.is_set():
            await asyncio.sleep(0.02)
        if units.started and front.started:
            ready(_port(units), _port(front))
        group.create_task(_retain(department, contexts, daily, ask_time, stop, purged=purged))
        group.create_task(_each_hour(hourly, stop))
        group.create_task(_watch_clock(department.time, ask_time, stop))


def _port(server: BoundedServer) -> int:
    sockets = [one for each in server.servers for one in each.sockets]
    return int(sockets[0].getsockname()[1]) if sockets else 0
