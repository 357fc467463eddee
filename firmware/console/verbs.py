"""The console's commands: each takes its words, asks the unit, and yields lines for the person.

Promise: all lines are about the unit, and everything from the unit or a library passes the plate screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from detector.errors import DetectorError
from firmware.console.aim import aim_lines
from firmware.console.errors import ConsoleError, UnitRefusedError
from firmware.console.parser import FORMS, Command
from firmware.console.unit import MaintainedUnit, one_word
from firmware.errors import FirmwareError, failure_text
from firmware.health.alarm_cures import alarm_lines
from firmware.health.report_text import report_lines
from firmware.screen import fitted, printable, screened, screened_link, screened_log
from hw.errors import HardwareError
from storage.damage import settled
from storage.errors import StorageError
from storage.grant_format import LOG_DIGITS, Grant
from storage.times import DAY_US, iso_text
from sync.errors import SyncError
from sync.health import clock_text

AIM_DEFAULT_S, AIM_LIMIT_S = 120, 3600
AIM_EVERY_S = 1.0
ROUNDED_TO = 100  # records
LOG_LINES = 40
LINE_LIMIT = 400  # characters of one line, before it is fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a command may use. ask, ask_secret: get another line, the second without echo. key_pressed:
    whether to end a live view.
    """

    unit: MaintainedUnit
    grant: Grant | None
    offered: tuple[str, ...]
    ask_secret: Callable[[str], str]
    ask: Callable[[str], str]
    key_pressed: Callable[[float], bool]
    running_s: Callable[[], float]
    clock_within: tuple[int, int] | None = None  # UTC us: the range to which the clock may be set, if limited


Verb = Callable[[Context, tuple[str, ...]], Iterator[str]]


def carry_out(command: Command, context: Context) -> Iterator[str]:
    """Run a command; yields the rows that it shows, printable and screened. Raises UnitRefusedError."""
    for line in VERBS[command.form.name](context, command.words):
        yield from fitted(printable(line)[:LINE_LIMIT])


def screen_error(error: Exception) -> str:
    """An error as the person may see it: the console's own text as it is, everything else screened.

    A log that is called damaged gets a look first, which takes seconds: hold no lock.
    """
    error = settled(error)
    text = str(error)
    if not isinstance(error, ConsoleError):
        if isinstance(error, OSError):
            text = failure_text(error)
        elif not isinstance(error, FirmwareError | HardwareError | StorageError | SyncError | DetectorError):
            text = f"{type(error).__name__}: {text}"
        text = screened(text)
    return printable(text)[:LINE_LIMIT]


def _status(context: Context, _words: tuple[str, ...]) -> Iterator[str]:
    identity = context.unit.identity()
    yield f"unit         {identity.shown}, {identity.software}, {_enrollment(identity.enrolled)}"
    report = context.unit.health()
    yield from report_lines(report)
    for line in alarm_lines(report.alarms):
        yield f"             {line}"


def _enrollment(enrolled: bool) -> str:
    return "enrolled" if enrolled else "not enrolled"


def _aim(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    preview = "preview" in words
    numbers = [int(word) for word in words if word.isdecimal()]
    until_s = context.running_s() + min(numbers[0] if numbers else AIM_DEFAULT_S, AIM_LIMIT_S)
    yield "any key ends this"
    while True:
        yield from aim_lines(context.unit.aim(), preview=preview)
        left_s = until_s - context.running_s()
        if left_s <= 0 or context.key_pressed(min(AIM_EVERY_S, left_s)):
            return


def _camera(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    if len(words) == 1 and words[0] not in context.unit.camera():
        raise UnitRefusedError(f"no such setting; they are {', '.join(context.unit.camera())}")
    if len(words) == 2:
        yield screened(context.unit.set_camera(words[0], words[1]))
    for name, value in context.unit.camera().items():
        if len(words) == 1 and name != words[0]:
            continue
        yield f"{name:<16} {value}"


def _network(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    if words:
        if len(words) == 1:
            raise UnitRefusedError("usage: network wifi NAME")
        passphrase = words[2] if len(words) > 2 else context.ask_secret("passphrase: ")
        yield context.unit.join_wifi(words[1], passphrase)
    for line in context.unit.network():
        yield screened_link(line)


def _time(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    if words:
        try:
            moment = datetime.strptime(words[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise UnitRefusedError(f"not a time: {words[0]}; usage: time 2026-05-01T12:30:00Z") from None
        us = int(moment.timestamp()) * 1_000_000
        if context.clock_within is not None and not context.clock_within[0] <= us <= context.clock_within[1]:
            first, last = (iso_text(limit_us, to="second") for limit_us in context.clock_within)
            raise UnitRefusedError(f"before a login the clock is set within the grant: {first} to {last}")
        _sure_of_a_leap(context, us, words[0][:10])
        context.unit.set_time(us)
    report = context.unit.health()
    shown = iso_text(report.at_us, to="second").removesuffix("Z")
    yield f"{shown} UTC, {clock_text(report.clock_state, report.clock_error_us)}"


def _sure_of_a_leap(context: Context, us: int, date: str) -> None:
    """Ask for the date again before a leap ahead: a signature with a later time cannot be undone."""
    ahead_days = (us - context.unit.time_us()[0] + context.unit.set_by_hand_us()) / DAY_US
    if ahead_days <= 1:
        return
    typed = context.ask(f"{ahead_days:.0f} days ahead, which cannot be undone: type the date again: ")
    if typed.strip() != date:
        raise UnitRefusedError("not the same date: nothing was changed")


def _storage(context: Context, _words: tuple[str, ...]) -> Iterator[str]:
    for name, value in context.unit.storage().items():
        for number, row in enumerate(textwrap.wrap(value, 51) or [""]):
            yield f"{'' if number else name:<27} {row}"


def _sync(context: Context, _words: tuple[str, ...]) -> Iterator[str]:
    for line in context.unit.sync():
        yield screened(line)


def _selftest(context: Context, _words: tuple[str, ...]) -> Iterator[str]:
    bad, seeing = 0, True
    for check in context.unit.selftest():
        word = {True: "ok", False: "WRONG", None: "skipped"}[check.good]
        bad += check.good is False
        seeing &= check.name != "camera" or check.good is not None
        yield f"{word:<8} {check.name:<14} {check.text(screened)}"
    if not seeing:
        yield "no picture was taken: this unit reads nothing until its camera gives one"
    if bad or seeing:
        yield f"{bad} wrong" if bad else "all parts that are here work"


def _logs(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    lines = context.unit.log_lines(int(words[0]) if words else LOG_LINES)
    if not lines:
        yield "the system log has no lines from the reader"
    for line in lines:
        yield screened_log(line)


def _update(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    if words:
        for line in context.unit.update(words[0]):
            yield screened(line) if line != f"checking {words[0]}" else line
        return
    yield from context.unit.update_state()


def _reboot(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    _confirmed(context, words[0])
    yield from _cutting_off(context)
    context.unit.reboot()
    yield "restarting; this session ends"


def _factory_reset(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    _confirmed(context, words[0])
    obstacles, grant = context.unit.reset_obstacles(), context.grant
    log = obstacles.log[:LOG_DIGITS]
    if grant and not obstacles.log.startswith(grant.destroy_log):
        raise UnitRefusedError(
            f"the grant is for the reset of log {grant.destroy_log}, and this unit's is {log}: "
            "ask for one that names this log"
        )
    named_up_to = grant.destroy_up_to if grant else 0
    named_holds = set(grant.destroy_holds) if grant else set()
    older = ""
    by_time = grant is not None and not grant.destroy_log  # in the earlier format, which names no log
    if grant and by_time and grant.issued_us < obstacles.opened_us and (named_up_to or named_holds):
        named_up_to, named_holds = 0, set()  # its numbers are of a log that is gone
        older = (
            "; by this unit's clock yours is older than this log, and names an earlier one's: if the clock "
            "was wrong when the log was opened, sync once, so that the department's time counts"
        )
    unnamed_holds = [hold for hold in obstacles.holds if hold not in named_holds]
    if obstacles.unacknowledged and named_up_to < obstacles.log_size:
        # No count, and the log's size rounded up: exact numbers would reveal a hit, which adds a record.
        up_to = (obstacles.log_size // ROUNDED_TO + 1) * ROUNDED_TO
        raise UnitRefusedError(
            "records are not acknowledged by the department: sync first, or ask for a grant that names them "
            f"(up to record {up_to}, of log {log}){older}"
        )
    if unnamed_holds:
        raise UnitRefusedError(
            f"held as evidence (463.8): {', '.join(str(hold) for hold in unnamed_holds[:10])}; "
            f"export and release them first, or ask for a grant that names them, of log {log}"
            f"{older}"
        )
    yield from _cutting_off(context)
    yield from context.unit.factory_reset(obstacles, grant_id=grant.grant_id if grant else "")


def _cutting_off(context: Context) -> Iterator[str]:
    """Ask again if the restart would cut an update off; nothing is remembered for the next session."""
    if context.unit.may_write_update():
        yield "the update may still be written, and a restart would cut it off:"
        yield "give `update` again in some minutes, it says when it is done"
        name = context.unit.identity().name
        _confirmed(context, context.ask(f"type the unit's name ({name}) to restart: ").strip())


def _confirmed(context: Context, typed: str) -> None:
    identity = context.unit.identity()
    if one_word(typed) not in {identity.name, identity.unit}:
        raise UnitRefusedError(f"this unit is {identity.name}: type that name to confirm")


def _enroll(context: Context, words: tuple[str, ...]) -> Iterator[str]:
    code = words[0] if words else context.ask_secret("code: ").strip()
    if not code:
        raise UnitRefusedError("no code was given, nothing was changed")
    identity = context.unit.identity()
    if not identity.empty:
        yield "this unit holds reads from before its enrollment; they are destroyed first"
        _confirmed(context, context.ask(f"type the unit's name ({identity.name}) to continue: ").strip())
    for line in context.unit.enroll(code):
        yield screened(line)


def _help(context: Context, _words: tuple[str, ...]) -> Iterator[str]:
    for name in context.offered:
        form = FORMS[name]
        yield f"{form.usage:<30} {form.about}"


def _nothing(_context: Context, _words: tuple[str, ...]) -> Iterator[str]:
    yield from ()


VERBS: dict[str, Verb] = {
    "status": _status,
    "aim": _aim,
    "camera": _camera,
    "network": _network,
    "time": _time,
    "storage": _storage,
    "sync": _sync,
    "selftest": _selftest,
    "logs": _logs,
    "update": _update,
    "reboot": _reboot,
    "factory-reset": _factory_reset,
    "enroll": _enroll,
    "help": _help,
    "exit": _nothing,
    "login": _nothing,
}
