"""The only place that wires configuration, ledger, camera, eyes, uplink and consoles into one run."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
import structlog
from numpy.typing import NDArray

from detector.reader import PlateReader
from detector.track import Tracker
from detector.way_up import WayUp
from firmware.custody.bookkeeper import Bookkeeper
from firmware.custody.damage_watch import DamageWatch
from firmware.custody.log_rollover import Successor, why_not_kept
from firmware.custody.opening import hear_department, know_signed_time
from firmware.errors import UsageError
from firmware.fleet import sent_configuration
from firmware.fleet.sync_trial import RunningTrial
from firmware.frames.failed_eyes import FailedEyes, load_eyes, tunable_source
from firmware.frames.no_read import NoReadRule, Place
from firmware.frames.pipeline import Pipeline
from firmware.frames.record import Surroundings
from firmware.frames.sources import DROP, TunableSource, is_replay, open_source, shown_source
from firmware.health.liveness import Liveness
from firmware.health.turned_camera import TurnedCamera
from firmware.run.beside import Beside, BesideReading
from firmware.run.field_parts import FieldParts
from firmware.run.live_view import LiveView
from firmware.run.orders import Reason, StopRequest, SupplyOrders
from firmware.run.run_ledger import run_ledger
from firmware.run.run_output import RunOutput
from firmware.run.run_result import RunOptions, RunResult, result_of
from firmware.settings.config import Config
from firmware.settings.software import software_version
from hw.camera import Frame
from hw.camera_watch import WatchedCamera
from hw.position import Fix
from hw.power import PowerOrder
from hw.watchdog import Heartbeat
from storage.errors import LedgerError, StorageError
from storage.ledger import Ledger
from storage.read_records import Position, Read
from sync.event_log import event_log
from sync.membership import SyncFolder
from sync.runner import Attempt

LOOK_S = 0.2  # how often the main thread redraws the view and looks for a signal
QUIET_INTERVALS = 3  # intervals of its source after which a camera that delivered counts as dead
COUNTS_EVERY_S = 3600.0  # so rare that the event's time stamp reveals no read


class OneRun:
    """One run with one ledger, from opening to closing."""

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
        self._sent = threading.Event()  # a configuration came, or sync settings lapsed
        self._trial = RunningTrial(SyncFolder.of(home))

    @property
    def reason(self) -> Reason | None:
        """Why it was asked to end; None if its source ended."""
        return self._stop.reason

    def reads_on(self, orders: SupplyOrders) -> bool:
        """Whether another run follows after the end."""
        if self._successor is not None:
            self._successor.open(self._home, self._parts.clock).close()
            return self._stop.reason is Reason.LOG_ENDS and not self._options.once and not orders.ended
        if self._stop.reason is Reason.CONFIGURATION:
            return not orders.ended
        if self._stop.reason is not Reason.SUPPLY:
            return False
        while (order := orders.await_next(LOOK_S)) is PowerOrder.STOP_READING and not orders.ended:
            if self._heartbeat is not None:
                self._heartbeat.beat()
        return order is PowerOrder.RUN and not orders.ended

    def carry_out(self, *, out: TextIO, err: TextIO) -> RunResult:
        """Open the ledger, read until the end, store everything, close."""
        log, clock = event_log(err), self._parts.clock
        reader = load_eyes(self._config.reading.threads, patient=self._keeps_running, log=log)
        source = self._source(reader, log)
        with run_ledger(self._home, clock, log, self._stop, self._heartbeat) as ledger:
            know_signed_time(ledger, clock)
            hear_department(ledger, clock)  # an earlier run since the machine's start may have received it
            demo = not ledger.status().enrolled
            if self._options.plates and not demo:
                raise UsageError("--plates: an enrolled unit shows no plates (463.5: lookups are logged)")
            with contextlib.ExitStack() as stack:
                stack.callback(self._keep_last_keys, ledger)  # after everything beside the reading has ended
                starter = BesideReading(
                    self._home,
                    self._config,
                    self._parts,
                    ledger=ledger,
                    known_states=reader.decoding.text.jurisdictions,
                    log=log,
                    on_gives_way=lambda what: self._set_aside(ledger, what),
                    on_attempt=lambda attempt: self._after_conversation(ledger, attempt),
                )
                beside = starter.start(stack, source)
                view = LiveView(
                    out,
                    reads=demo and (self._options.plates or out.isatty()),
                    as_json=self._options.as_json,
                )
                stack.enter_context(view)
                said = RunOutput(err, log, demo=demo)
                result = self._read(ledger, reader, source, beside, view, said, log)
            why = None if self._stop.reason is None else self._stop.reason.value
            log.info("stopped", frames=result.frames, dropped=result.dropped, reads=result.stored, why=why)
        if self._options.once and self._stop.reason is Reason.LOG_ENDS and self._successor is not None:
            return replace(result, unread=self._successor.reason)
        return result

    @property
    def _keeps_running(self) -> bool:
        """Whether to run without nets or camera, as an enrolled unit does to purge and sync."""
        return SyncFolder.of(self._home).is_member() and not self._options.once

    def _source(
        self, reader: PlateReader | FailedEyes, log: structlog.typing.FilteringBoundLogger
    ) -> TunableSource:
        options, pace = self._options, self._options.at_source_pace
        return tunable_source(
            lambda settings: open_source(
                self._source_text,
                settings,
                clock=self._parts.clock,
                once=options.once,
                at_source_pace=not options.once if pace is None else pace,
                net_size=reader.net_size,
            ),
            self._config.camera,
            eyes=reader,
            waits=self._source_text.startswith(DROP),
            patient=self._keeps_running,
            log=log,
        )

    @property
    def _source_text(self) -> str:
        return self._options.source or self._config.camera.source

    # -- the reading itself

    def _read(  # noqa: PLR0917 - called once, above
        self,
        ledger: Ledger,
        reader: PlateReader | FailedEyes,
        source: TunableSource,
        beside: Beside,
        view: LiveView,
        said: RunOutput,
        log: structlog.typing.FilteringBoundLogger,
    ) -> RunResult:
        """Turn frames into reads until the source ends or the run is asked to end."""
        config, demo = self._config, not ledger.status().enrolled
        permitted = self._permitted(ledger)
        surroundings = _surroundings(config, self._source_text, reader, demo=demo)
        self._damage = DamageWatch(ledger.store.home.database, lambda what: self._set_aside(ledger, what))
        bookkeeper = self._bookkeeper(ledger, surroundings, source, beside, view, log)
        camera = WatchedCamera(
            source,
            clock=self._parts.clock,
            on_blind=bookkeeper.blind,
            stall_s=config.camera.stall_s,
            patient=self._keeps_running,
        )
        turned_camera = TurnedCamera(self._home, shown_source(self._source_text))
        way_up = WayUp(
            reader.turned,
            upside_down=turned_camera.is_known(source.rotation),
            decided=lambda known: turned_camera.note(source.rotation, upside_down=known),
        )

        def turned() -> None:
            """Forget which way up the picture is, and what it usually shows."""
            way_up.reset()
            beside.health.lit_anew()

        source.on_retuned(camera.reopen, turned)
        beside.tap.follow(lambda: camera.silent_s)
        beside.health.follow(lambda: camera.silent_s, lambda: camera.why_blind)
        beside.health.watch_way_up(lambda: way_up.upside_down, way_up.reset)
        pipeline = Pipeline(
            camera,
            reader,
            Tracker(reader.decoding, reader.see_together),
            store=bookkeeper.store,
            glance=bookkeeper.glance,
            live=source.live and not source.waits,
            queue_frames=config.capture.queue_frames,
            queue_passes=config.capture.queue_passes,
            on_frame=_frame_hook(beside, permitted),
            on_broken=said.broken,
            on_progress=view.progress,
            permitted=permitted,
            urgent=beside.alerts.watch.matches,
            on_unsound=lambda error: beside.health.net_failed(str(error)),
            way_up=way_up,
        )
        if isinstance(reader, FailedEyes):
            beside.health.net_failed(str(reader.why), frames=0)
        beside.health.count_dropped(lambda: pipeline.counts.dropped)
        for note in source.notes:
            said.note(note)
        log.info("started", source=shown_source(self._source_text), live=source.live, demo=demo)
        try:
            reading = not isinstance(reader, FailedEyes)
            liveness = Liveness(reading=reading, quiet_s=QUIET_INTERVALS * source.interval_s)
            self._watch(pipeline, camera, view, beside.in_session, log, liveness, lambda: bookkeeper.waiting)
        finally:
            camera.close()
            bookkeeper.close(pipeline.counts.unstored)
            self._damage.end()
            if beside.lighting is not None:
                beside.lighting.put_out()
        view.refresh(pipeline.counts, camera.blind_s)
        return result_of(pipeline.counts, camera.blind_s, view, beside.alerts.board.raised)

    def _bookkeeper(  # noqa: PLR0917 - called once, above
        self,
        ledger: Ledger,
        surroundings: Surroundings,
        source: TunableSource,
        beside: Beside,
        view: LiveView,
        log: structlog.typing.FilteringBoundLogger,
    ) -> Bookkeeper:
        """Stores passes and gaps; shows and counts each stored read."""

        def announce(number: int, read: Read) -> None:
            view.stored(number, read)
            beside.health.read_stored()

        return Bookkeeper(
            ledger,
            surroundings,
            clock=self._parts.clock,
            overview_quality=self._config.images.overview_quality,
            announce=announce,
            log=log,
            position=lambda ago_s: _position_of(self._parts.fix_at(ago_s)),
            matches=beside.alerts.watch.matches,
            sounds=beside.alerts.watch.sounds,
            alerts=beside.alerts.watch.alerts,
            met=beside.alerts.watch.met,
            unstored=beside.alerts.watch.unstored,
            undecided=self._is_looked_at,
            waits=lambda: source.waits and not self._stop.asked,
        )

    def _permitted(self, ledger: Ledger) -> Callable[[Frame], bool]:
        """Whether a frame may be read, by the no-read zones of the signed policy."""
        site, parts, clock = self._config.site, self._config.parts, self._parts.clock
        fixed = None
        if site.latitude is not None and site.longitude is not None:
            fixed = Place(latitude=site.latitude, longitude=site.longitude, error_m=site.error_m)
        mobile = parts.ignition_pin is not None or (parts.gps_port is not None and fixed is None)
        rule = NoReadRule(
            lambda: ledger.store.policy.no_read_zones,
            self._parts.fix_at,
            mobile=mobile,
            fixed=None if mobile else fixed,
        )
        return lambda frame: rule.permits(max(0.0, (clock.now().us - frame.captured.us) / 1e6))

    def _is_looked_at(self, error: Exception) -> bool:
        """Have a look at a log that is called damaged, if the unit is enrolled: no start would find a damaged
        page. Returns whether a look is under way, be this error another one.
        """
        return SyncFolder.of(self._home).is_member() and self._damage.report(error)

    def _set_aside(self, ledger: Ledger, what: str) -> None:
        """End this run because its log is to be replaced, so that the next one has a new log.

        If logs are closed again and again, it keeps using this one until a person acts.
        """
        try:
            self._successor = Successor(ledger, SyncFolder.of(self._home), what)
        except LedgerError as error:
            structlog.get_logger("uplink").error("no_new_log", what=str(error))
            return
        except (StorageError, sqlite3.Error, OSError) as error:  # the next sync or read asks for it again
            structlog.get_logger("uplink").error("no_new_log", **why_not_kept(error))
            return
        structlog.get_logger("uplink").error("log_gives_way", reason=what)
        self._stop.ask(Reason.LOG_ENDS)

    def _keep_last_keys(self, ledger: Ledger) -> None:
        """Keep the keys of the epochs that were opened since a log was refused."""
        if self._successor is not None:
            try:
                self._successor.keep_keys(ledger)
            except (StorageError, sqlite3.Error, OSError) as error:  # open() keeps only those on the card
                structlog.get_logger("uplink").error("last_keys_not_kept", **why_not_kept(error))

    def _after_conversation(self, ledger: Ledger, attempt: Attempt) -> None:
        if not attempt.for_alert:  # else the clock's smaller error, which a console shows, would reveal a hit
            hear_department(ledger, self._parts.clock)
        if attempt.reached:  # only a hit is sent on any network at any time
            self._trial.passed()
        if not self._options.once and sent_configuration.waits(self._home):
            self._sent.set()

    def _watch(  # noqa: PLR0917 - called once, above
        self,
        pipeline: Pipeline,
        camera: WatchedCamera,
        view: LiveView,
        in_session: Callable[[], bool],
        log: structlog.typing.FilteringBoundLogger,
        liveness: Liveness,
        waiting: Callable[[], bool],
    ) -> None:
        """The main thread's loop: signals, the view and the heartbeat. Returns when all stages have ended.

        waiting: whether all stages wait for the store, which a restart would not cure.
        """
        stop, heartbeat = self._stop, self._heartbeat
        counted_s = time.monotonic()
        pipeline.start()
        if heartbeat is not None:
            heartbeat.ready()
        while pipeline.running:
            stop.wait(LOOK_S) if not stop.asked else pipeline.join(LOOK_S)
            if self._trial.lapses():
                self._sent.set()
            if self._sent.is_set() and not in_session():  # it does not cut a visit short
                stop.ask(Reason.CONFIGURATION)
            if stop.asked:
                pipeline.stop()
                camera.close()
            counts = pipeline.counts
            alive = liveness.alive(frame_age_s=camera.frame_age_s, read=counts.read, seen=camera.seen)
            if heartbeat is not None and (alive or waiting()):
                heartbeat.beat()
            view.refresh(counts, camera.blind_s)
            if time.monotonic() - counted_s >= COUNTS_EVERY_S:
                counted_s = time.monotonic()
                log.info("counts", frames=counts.frames, dropped=counts.dropped, reads=counts.stored)
        pipeline.join()


def _frame_hook(beside: Beside, permitted: Callable[[Frame], bool]) -> Callable[[Frame], None]:
    """A function that gives each frame to health watch, lamps and, outside no-read zones, the console."""

    def on_frame(frame: Frame) -> None:
        small = _small_luma(frame)
        if permitted(frame):
            beside.tap.offer(frame)
        else:
            beside.tap.withhold()
        beside.health.frame_seen(small)
        if beside.lighting is not None:
            beside.lighting.frame_seen(frame, small)

    return on_frame


def _surroundings(
    config: Config, source: str, reader: PlateReader | FailedEyes, *, demo: bool
) -> Surroundings:
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
    """A fix in the form of a read."""
    if fix is None:
        return None
    return Position(latitude=fix.latitude_deg, longitude=fix.longitude_deg, error_m=fix.error_m)


def _small_luma(frame: Frame) -> NDArray[np.uint8]:
    """The small picture, or every fourth pixel of the large one: enough to judge focus and light."""
    return frame.luma[::4, ::4] if frame.lores is None else frame.lores
