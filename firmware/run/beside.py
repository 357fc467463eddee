"""Starts what runs beside the reading: health, uplink, purge, metrics, consoles, hot lists, door."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from firmware.alerts.board import LEFT, OpenAlert
from firmware.alerts.lasting_time import LastingTime
from firmware.alerts.list_ops import list_operations
from firmware.alerts.ops import alert_operations
from firmware.alerts.running import Alerts, alerting
from firmware.alerts.sounder import Sounder, sounding
from firmware.console.consoles import consoles
from firmware.console.enrolling import join_as_owner
from firmware.console.selftest import sounder_of
from firmware.custody.home_parts import ShutParts
from firmware.custody.opening import custody_of, joining, serve_door
from firmware.custody.purging import purging
from firmware.fleet.sync_conditions import SyncConditions, networks_of
from firmware.frames.frame_tap import FrameTap
from firmware.frames.lighting import Lighting
from firmware.frames.sources import TunableSource
from firmware.health.alarm_events import AlarmEvents
from firmware.health.health_file import reporting
from firmware.health.health_message import health_message
from firmware.health.metrics import serving_metrics
from firmware.health.read_habit import ReadHabit
from firmware.health.report import HealthWatch
from firmware.health.scene_watch import SceneWatch
from firmware.run.field_parts import FieldParts
from firmware.run.part_checks import part_checks
from firmware.run.uplink_thread import UplinkThread
from firmware.settings.config import CameraSettings, Config
from hw.lamps import BorrowedLamps, Lamps
from hw.vitals import SysfsBoard
from storage.home import Home
from storage.ledger import Ledger
from sync.membership import SyncFolder
from sync.runner import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The parts beside the reading that the reading uses."""

    health: HealthWatch
    tap: FrameTap
    lighting: Lighting | None
    in_session: Callable[[], bool]
    alerts: Alerts


class BesideReading:
    """Starts all these parts for one run.

    known_states: the states that the nets can name. on_gives_way, on_attempt: see UplinkThread.
    """

    def __init__(
        self,
        home: Path,
        config: Config,
        parts: FieldParts,
        *,
        ledger: Ledger,
        known_states: Sequence[str],
        log: structlog.typing.FilteringBoundLogger,
        on_gives_way: Callable[[str], None],
        on_attempt: Callable[[Attempt], None],
    ) -> None:
        self._home, self._config, self._parts = home, config, parts
        self._ledger, self._known_states, self._log = ledger, known_states, log
        self._on_gives_way, self._on_attempt = on_gives_way, on_attempt
        self._sounds: Sounder | None = None
        self._came = threading.Event()

    def start(self, stack: contextlib.ExitStack, source: TunableSource) -> Beside:
        """Start everything; it ends with the stack, in reverse order."""
        habit = ReadHabit.load(self._home / "habit.json")
        health, tap = self._health(habit, source), FrameTap()
        lighting = self._lighting(health)
        uplink = self._start_uplink(stack, health)
        stack.enter_context(purging(self._ledger, self._log))
        stack.enter_context(serving_metrics(self._config.unit.metrics_port, health.report, self._log))
        self._start_reporting(stack, health, habit)
        retune = retuner(source, lighting)
        in_session = stack.enter_context(
            consoles(
                self._home,
                self._ledger,
                clock=self._parts.clock,
                health=health,
                tap=tap,
                retune=retune,
                lamps=self._alert_lamps(),
                fitted=partial(part_checks, self._config.parts, self._parts),
            )
        )
        alerts = self._start_alerts(stack, uplink)
        health.watch_lists(alerts.watch.health)
        return Beside(health=health, tap=tap, lighting=lighting, in_session=in_session, alerts=alerts)

    def _health(self, habit: ReadHabit, source: TunableSource) -> HealthWatch:
        parts, config, folder = self._parts, self._config, SyncFolder.of(self._home)
        return HealthWatch(
            board=SysfsBoard(self._home),
            power=parts.power,
            now=parts.clock.now,
            habit=habit,
            custody=lambda: custody_of(self._ledger, folder),
            stays=config.parts.ignition_pin is None,
            sync_late_s=config.sync.late_after_s,
            troubles=lambda: (*self._troubles(), *filter(None, [source.trouble])),
            card_tb=config.parts.card_tb,
            scene=SceneWatch(),
            shut=ShutParts(self._home).look,
        )

    def _lighting(self, health: HealthWatch) -> Lighting | None:
        if self._parts.lamps is None:
            return None
        camera = self._config.camera
        return Lighting(
            self._parts.lamps,
            longest_us=camera.exposure_us,
            gain_max=camera.gain_max,
            log=self._log,
            on_switch=health.lit_anew,
        )

    def _start_uplink(self, stack: contextlib.ExitStack, health: HealthWatch) -> UplinkThread:
        settings = self._config.sync
        named = bool(settings.networks.strip())
        return stack.enter_context(
            UplinkThread(
                self._ledger,
                self._home,
                settings.schedule(),
                log=self._log,
                conditions=SyncConditions(networks_of(settings), self._parts.power, by_name=named),
                health=lambda: health_message(health.report(), self._ledger.store.log_id),
                on_gives_way=self._on_gives_way,
                on_attempt=self._attempted,
            )
        )

    def _attempted(self, made: Attempt) -> None:
        """Handle the end of a conversation: a new list comes into force at once."""
        if made.progress.documents:
            self._came.set()
        self._on_attempt(made)

    def _start_reporting(self, stack: contextlib.ExitStack, health: HealthWatch, habit: ReadHabit) -> None:
        alarms = AlarmEvents(self._log, why=health.why)
        stack.enter_context(
            reporting(
                self._home,
                lambda: alarms.noted(health.report()),
                keep=partial(_keep_habit, habit, self._home),
                on_trouble=lambda kind: self._log.error("health_failed", kind=kind),
            )
        )

    def _alert_lamps(self) -> Callable[[], Lamps] | None:
        """Buzzer and alert lamp for a test, which then restores their state; None without either."""
        lamps = self._parts.lamps
        if lamps is None or sounder_of(self._config.parts) is None:
            return None
        return partial(BorrowedLamps, lamps)

    def _sounder(self, stack: contextlib.ExitStack) -> Sounder | None:
        """The sounder, if the unit has a buzzer or an alert lamp."""
        lamps = self._parts.lamps
        if lamps is None or sounder_of(self._config.parts) is None:
            return None
        sounder = Sounder(lamps, longest_s=self._config.alerts.buzzer_s, log=self._log)
        stack.enter_context(sounding(sounder))
        return sounder

    def _troubles(self) -> tuple[str, ...]:
        sounder = self._sounds
        return (*self._parts.troubles.lasting, *(() if sounder is None else sounder.troubles))

    def _start_alerts(self, stack: contextlib.ExitStack, uplink: UplinkThread) -> Alerts:
        """Start hot lists and alerts, and the door through which other commands ask for them and reads."""
        sounder = self._sounds = self._sounder(stack)

        def changed(alert: OpenAlert, what: str) -> None:
            if sounder is not None:
                sounder.changed(alert, what)
            if what not in {"sighting", LEFT}:
                uplink.nudge()

        def warn() -> None:
            if sounder is not None:
                sounder.warn()

        settings = self._config.alerts
        alerts = stack.enter_context(
            alerting(
                self._home,
                self._ledger,
                SyncFolder.of(self._home),
                self._known_states,
                LastingTime.of(self._ledger.store.time),
                self._log,
                listen=settings.page_listen,
                port=settings.page_port,
                changed=changed,
                warn=warn,
                came=self._came,
            )
        )
        operations = {
            **joining(partial(join_as_owner, self._home, self._ledger)),
            **list_operations(self._home, self._ledger, alerts),
            **alert_operations(self._ledger, alerts.board),
        }
        stack.enter_context(serve_door(self._ledger, operations))
        return alerts


def retuner(source: TunableSource, lighting: Lighting | None) -> Callable[[CameraSettings], str]:
    """See TunableSource.retune. A function that changes camera settings while the reader runs."""

    def retune(settings: CameraSettings) -> str:
        why = source.retune(settings)
        if lighting is not None:
            lighting.limits(longest_us=settings.exposure_us, gain_max=settings.gain_max)
        return why

    return retune


def _keep_habit(habit: ReadHabit, home: Path) -> None:
    if Home(home).exists():  # after a factory reset nothing of the old unit may come back
        habit.save(home / "habit.json")
