"""The only place that wires: configuration, ledger, camera, eyes, uplink, consoles become one run."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np
import structlog
from numpy.typing import NDArray
from rich.console import Console

from detector.reader import PlateReader
from detector.track import Tracker
from firmware.alerts.ops import alert_operations, list_operations
from firmware.alerts.running import alerting
from firmware.console.consoles import consoles
from firmware.console.enrolling import join_as_owner
from firmware.custody.bookkeeper import UNSTORED, Bookkeeper
from firmware.custody.give_way import way_asked
from firmware.custody.log_rollover import Successor
from firmware.custody.opening import custody_of, joining, once_free, open_or_succeed, serve_door, tell_clock
from firmware.custody.purging import purging
from firmware.custody.system_updates import record_system_updates
from firmware.errors import UsageError
from firmware.fleet import sent_configuration
from firmware.fleet.sync_conditions import SyncConditions, networks_of
from firmware.frames.frame_tap import FrameTap
from firmware.frames.lighting import Lighting
from firmware.frames.pipeline import Pipeline
from firmware.frames.record import Surroundings, software_version
from firmware.frames.sources import TunableSource, is_replay, open_source, shown_source
from firmware.health.alarm_events import AlarmEvents
from firmware.health.health_file import reporting
from firmware.health.health_message import health_message
from firmware.health.liveness import Liveness
from firmware.health.metrics import serving_metrics
from firmware.health.read_habit import ReadHabit
from firmware.health.report import HealthWatch
from firmware.run.field_parts import FieldParts
from firmware.run.live_view import LiveView
from firmware.run.orders import Reason, StopRequest, SupplyOrders
from firmware.run.uplink_thread import UplinkThread
from firmware.screen import printable
from firmware.settings.config import CameraSettings, Config
from firmware.settings.config_record import record_configuration
from hw.camera import Frame
from hw.camera_watch import WatchedCamera
from hw.clock import Clock
from hw.errors import BrokenFrameError, HardwareError
from hw.lamps import Lamps
from hw.position import Fix
from hw.power import PowerOrder
from hw.vitals import SysfsBoard
from hw.watchdog import Heartbeat
from storage.errors import LedgerError, StoreFullError
from storage.home import Home
from storage.ledger import Ledger
from storage.records import Position, Read
from sync.event_log import event_log
from sync.membership import SyncFolder

LOOK_S = 0.2  # how often the main thread redraws and looks for a signal
CHIP_PATIENCE_S, CHIP_AGAIN_S = 60.0, 2.0
COUNTS_EVERY_S = 3600.0  # so seldom that the event's own time stamp tells of no read


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `reader run` was asked for. None: as the configuration, or the kind of source, says."""

    source: str | None = None
    once: bool = False
    at_source_pace: bool | None = None
    plates: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    frames: int
    broken: int
    dropped: int
    stored: int
    lost: int
    blind_s: float
    summary: str

    def after(self, before: RunResult | None) -> RunResult:
        """Both runs together, in the words of the later one."""
        if before is None:
            return self
        return RunResult(
            frames=before.frames + self.frames,
            broken=before.broken + self.broken,
            dropped=before.dropped + self.dropped,
            stored=before.stored + self.stored,
            lost=before.lost + self.lost,
            blind_s=before.blind_s + self.blind_s,
            summary=self.summary,
        )


class OneRun:
    """One run with one ledger, from its opening to its closing."""

    def __init__(  # noqa: PLR0917 - called once, above
        self,
        home: Path,
        config: Config,
        parts: FieldParts,
        options: RunOptions,
        stop: StopRequest,
        heartbeat: Heartbeat | None,
    ) -> None:
        self._home, self._config, self._parts, self._options = home, config, parts, options
        self._stop, self._heartbeat = stop, heartbeat
        self._successor: Successor | None = None
        self._sent = threading.Event()  # a configuration came

    @property
    def reason(self) -> Reason | None:
        """Why it was asked to end; None where its source did."""
        return self._stop.reason

    def reads_on(self, orders: SupplyOrders) -> bool:
        """What comes after the end: True to read on."""
        if self._successor is not None:
            self._successor.open(self._home, self._parts.clock).close()
            return self._stop.reason is Reason.LOG_REFUSED and not self._options.once and not orders.ended
        if self._stop.reason is Reason.CONFIGURATION:
            return not orders.ended
        if self._stop.reason is not Reason.SUPPLY:
            return False
        while (order := orders.await_next(LOOK_S)) is PowerOrder.STOP_READING and not orders.ended:
            if self._heartbeat is not None:
                self._heartbeat.beat()
        return order is PowerOrder.RUN and not orders.ended

    def carry_out(self, *, out: TextIO, err: TextIO) -> RunResult:
        """Open, read until the end, store everything, close."""
        config, parts, options, home = self._config, self._parts, self._options, self._home
        clock = parts.clock
        source_text = options.source or config.camera.source
        pace = options.at_source_pace
        reader = PlateReader.from_models(threads=config.reading.threads)
        source = TunableSource(
            lambda settings: open_source(
                source_text,
                settings,
                clock=clock,
                once=options.once,
                at_source_pace=not options.once if pace is None else pace,
                net_size=reader.net_size,
            ),
            config.camera,
        )
        log = event_log(err)
        with _closing(_open(home, clock, log, self._stop), log) as ledger:
            demo = not ledger.status().enrolled
            if options.plates and not demo:
                raise UsageError("--plates: an enrolled unit shows no plates (463.5: look-ups are logged)")
            reads_seen = demo and (options.plates or out.isatty())
            _record_configuration(ledger, home, clock, log)
            habit = ReadHabit.load(home / "habit.json")
            sync_folder, tap = SyncFolder.of(home), FrameTap()
            health = HealthWatch(
                board=SysfsBoard(home),
                power=parts.power,
                now=clock.now,
                habit=habit,
                custody=lambda: custody_of(ledger, sync_folder),
                stays=config.parts.ignition_pin is None,
                sync_late_s=config.sync.late_after_s,
                troubles=lambda: parts.troubles.lasting,
                card_tb=config.parts.card_tb,
            )
            lighting = None if parts.lamps is None else _lighting(parts.lamps, config, log, health)
            alarms = AlarmEvents(log, troubles=lambda: parts.troubles.lasting)
            with (
                UplinkThread(
                    ledger,
                    home,
                    config.sync.schedule(),
                    log=log,
                    conditions=SyncConditions(
                        networks_of(config.sync), parts.power, by_name=bool(config.sync.networks.strip())
                    ),
                    health=lambda: health_message(health.report(), ledger.store.log_id),
                    on_log_refused=lambda what: self._set_aside(ledger, sync_folder, what),
                    on_attempt=lambda _attempt: self._after_conversation(ledger),
                ),
                purging(ledger, log),
                serving_metrics(config.unit.metrics_port, health.report, log),
                reporting(
                    home,
                    lambda: alarms.noted(health.report()),
                    keep=lambda: _keep_habit(habit, home),
                    on_trouble=lambda kind: log.error("health_failed", kind=kind),
                ),
                consoles(
                    home, ledger, clock=clock, health=health, tap=tap, retune=_retuner(source, lighting)
                ) as in_session,
                LiveView(Console(file=out), reads=reads_seen, as_json=options.as_json) as view,
                alerting(
                    home,
                    ledger,
                    sync_folder,
                    reader.decoding.text.jurisdictions,
                    lambda: ledger.store.time.now().us,
                    log,
                    listen=config.alerts.page_listen,
                    port=config.alerts.page_port,
                ) as alerts,
                serve_door(
                    ledger,
                    {
                        **joining(partial(join_as_owner, home, ledger)),
                        **list_operations(home, ledger, alerts.held),
                        **alert_operations(ledger, alerts.board),
                    },
                ),
            ):

                def announce(number: int, read: Read) -> None:
                    view.stored(number, read)
                    health.read_stored()

                def on_frame(frame: Frame) -> None:
                    small = _small_luma(frame)
                    tap.offer(frame)
                    health.frame_seen(small)
                    if lighting is not None:
                        lighting.frame_seen(frame, small)

                bookkeeper = Bookkeeper(
                    ledger,
                    _surroundings(config, source_text, reader, demo=demo),
                    clock=clock,
                    overview_quality=config.images.overview_quality,
                    announce=announce,
                    log=log,
                    position=lambda ago_s: _position_of(parts.fix_at(ago_s)),
                    matches=alerts.watch.matches,
                    met=alerts.watch.met,
                )
                camera = WatchedCamera(
                    source, clock=clock, on_blind=bookkeeper.blind, stall_s=config.camera.stall_s
                )
                source.on_retuned(camera.reopen)
                pipeline = Pipeline(
                    camera,
                    reader,
                    Tracker(reader.decoding),
                    store=bookkeeper.store,
                    live=source.live,
                    queue_frames=config.capture.queue_frames,
                    queue_passes=config.capture.queue_passes,
                    on_frame=on_frame,
                    on_broken=lambda error: _name_broken(err, log, error, demo=demo),
                    on_progress=view.progress,
                )
                health.count_dropped(lambda: pipeline.counts.dropped)
                for note in source.notes:
                    _tell(err, log, note, demo=demo)
                log.info("started", source=shown_source(source_text), live=source.live, demo=demo)
                try:
                    self._watch(pipeline, camera, view, in_session, log)
                finally:
                    camera.close()
                    bookkeeper.close()
                    if lighting is not None:
                        lighting.put_out()
                counts = pipeline.counts
                view.refresh(counts, camera.blind_s)
                result = RunResult(
                    frames=counts.frames,
                    broken=counts.broken,
                    dropped=counts.dropped,
                    stored=counts.stored,
                    lost=counts.lost_passes + counts.without_frame,
                    blind_s=camera.blind_s,
                    summary=view.summary(counts, camera.blind_s),
                )
            why = None if self._stop.reason is None else self._stop.reason.value
            log.info("stopped", frames=result.frames, dropped=result.dropped, reads=result.stored, why=why)
        return result

    def _set_aside(self, ledger: Ledger, folder: SyncFolder, what: str) -> None:
        """The department refused the log: end this run, so that the next one has a new log.

        Where logs are closed again and again it goes on reading into this one, until a person looks.
        """
        try:
            self._successor = Successor(ledger, folder, what)
        except LedgerError as error:
            structlog.get_logger("uplink").error("no_new_log", what=str(error))
            return
        self._stop.ask(Reason.LOG_REFUSED)

    def _after_conversation(self, ledger: Ledger) -> None:
        tell_clock(ledger, self._parts.clock)
        if not self._options.once and sent_configuration.waits(self._home):
            self._sent.set()

    def _watch(
        self,
        pipeline: Pipeline,
        camera: WatchedCamera,
        view: LiveView,
        in_session: Callable[[], bool],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        """Keep the main thread: signals, the view and the heartbeat. Returns when all stages are done."""
        stop, heartbeat, liveness = self._stop, self._heartbeat, Liveness()
        counted_s = time.monotonic()
        pipeline.start()
        if heartbeat is not None:
            heartbeat.ready()
        while pipeline.running:
            stop.wait(LOOK_S) if not stop.asked else pipeline.join(LOOK_S)
            if self._sent.is_set() and not in_session():  # nobody's visit is cut short for it
                stop.ask(Reason.CONFIGURATION)
            if stop.asked:
                pipeline.stop()
                camera.close()
            counts = pipeline.counts
            if heartbeat is not None and liveness.alive(frame_age_s=camera.frame_age_s, read=counts.read):
                heartbeat.beat()
            view.refresh(counts, camera.blind_s)
            if time.monotonic() - counted_s >= COUNTS_EVERY_S:
                counted_s = time.monotonic()
                log.info("counts", frames=counts.frames, dropped=counts.dropped, reads=counts.stored)
        pipeline.join()


def _open(home: Path, clock: Clock, log: structlog.typing.FilteringBoundLogger, stop: StopRequest) -> Ledger:
    """The home's ledger, or the one that takes its place; reading goes on either way.

    A chip that holds its keys may come up after us. Without it nothing can be sealed, so nothing is read:
    what is still not there after a minute ends the start, and the supervisor tries again.
    """
    until_s, told = time.monotonic() + CHIP_PATIENCE_S, False
    while True:
        try:
            return _opened_once(home, clock, log)
        except HardwareError as error:
            if stop.asked or time.monotonic() >= until_s:
                raise
            if not told:
                log.error("key_slot_not_there", reason=str(error))  # noqa: TRY400 - it is tried again
                told = True
        stop.wait(CHIP_AGAIN_S)


def _opened_once(home: Path, clock: Clock, log: structlog.typing.FilteringBoundLogger) -> Ledger:
    with way_asked(home):
        return once_free(
            lambda: open_or_succeed(
                home, clock=clock, told=lambda reason: log.error("new_log_opened", reason=reason)
            )
        )


@contextlib.contextmanager
def _closing(ledger: Ledger, log: structlog.typing.FilteringBoundLogger) -> Iterator[Ledger]:
    """Close it at the end; a last anchor that fails is told, and made at the next start."""
    try:
        yield ledger
    finally:
        try:
            ledger.close()
        except UNSTORED as error:
            log.error("not_anchored", reason=str(error))  # noqa: TRY400


def _record_configuration(
    ledger: Ledger, home: Path, clock: Clock, log: structlog.typing.FilteringBoundLogger
) -> None:
    try:
        record_configuration(ledger, home, clock)
        record_system_updates(ledger, home)
    except StoreFullError as error:  # only a unit that runs sends, and purges, and so has room again
        log.error("configuration_not_recorded", reason=str(error))  # noqa: TRY400


def _lighting(
    lamps: Lamps, config: Config, log: structlog.typing.FilteringBoundLogger, health: HealthWatch
) -> Lighting:
    camera = config.camera
    return Lighting(
        lamps,
        longest_us=camera.exposure_us,
        gain_max=camera.gain_max,
        log=log,
        on_switch=health.lit_anew,
    )


def _retuner(source: TunableSource, lighting: Lighting | None) -> Callable[[CameraSettings], None]:
    """What puts other camera settings into force while the reader runs."""

    def retune(settings: CameraSettings) -> None:
        source.retune(settings)
        if lighting is not None:
            lighting.limits(longest_us=settings.exposure_us, gain_max=settings.gain_max)

    return retune


def _keep_habit(habit: ReadHabit, home: Path) -> None:
    if Home(home).exists():  # after a factory reset nothing of the old unit comes back
        habit.save(home / "habit.json")


def _surroundings(config: Config, source: str, reader: PlateReader, *, demo: bool) -> Surroundings:
    site = config.site
    position = None
    if site.latitude is not None and site.longitude is not None:
        position = Position(latitude=site.latitude, longitude=site.longitude, error_m=site.error_m)
    replayed = is_replay(source)
    return Surroundings(
        camera=f"replay:{Path(source).name}" if replayed else config.camera.name,
        position=position,
        lane=site.lane,
        models=tuple(sorted((name, bytes.fromhex(digest)) for name, digest in reader.model_hashes.items())),
        software=software_version(),
        demo=demo,
    )


def _position_of(fix: Fix | None) -> Position | None:
    """A fix as a read carries it."""
    if fix is None:
        return None
    return Position(latitude=fix.latitude_deg, longitude=fix.longitude_deg, error_m=fix.error_m)


def _small_luma(frame: Frame) -> NDArray[np.uint8]:
    """The small picture, or every fourth pixel of the large one: enough to judge focus and light by."""
    return frame.luma[::4, ::4] if frame.lores is None else frame.lores


def _name_broken(
    err: TextIO, log: structlog.typing.FilteringBoundLogger, error: BrokenFrameError, *, demo: bool
) -> None:
    if demo:
        print(f"reader: run: {printable(str(error))}; skipped", file=err, flush=True)
    else:  # a file may be named after the plate that it shows
        log.warning("frame_broken", reason=error.reason)


def _tell(err: TextIO, log: structlog.typing.FilteringBoundLogger, note: str, *, demo: bool) -> None:
    if demo:
        print(f"reader: run: {printable(note)}", file=err, flush=True)
    else:
        log.warning("source", note=note.partition(":")[0])
