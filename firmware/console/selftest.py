"""Tests every part of a unit without a plate: one line per part, in the order of an installer's checks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from detector.errors import DetectorError
from detector.reader import PlateReader
from firmware.console.plate_spots import Spots
from firmware.console.unit import SelfTestLine
from firmware.frames.frame_tap import FrameWithheldError
from firmware.frames.picture_quality import picture_quality
from firmware.health.alarm_cures import CURES
from firmware.health.report import HOT_C
from firmware.health.wear import coarse_free
from firmware.screen import screened_name
from firmware.settings.config import PartsSettings
from hw.camera import Frame
from hw.clock import Clock, TimeState
from hw.errors import EndOfSourceError, HardwareError, MissingDriverError, NoSuchSourceError
from hw.lamps import GpioLamps, Lamp, Lamps
from hw.vitals import Board
from storage.errors import StorageError
from storage.ledger import Ledger
from storage.slot import load_slot
from storage.times import margin_text
from sync.health import Alarm

FREE_LEAST = 1 << 30
BEEP_S = 0.3
_OWN_SLOT = re.compile(
    r"file:slot|tpm:0x[0-9a-f]{7,8}"
)  # names in the form that init gives; others are paths


def self_test(
    *,
    ledger: Ledger,
    clock: Clock,
    board: Board,
    newest: Callable[[], Frame],
    find: Callable[[Frame], Spots],
    lamps: Callable[[], Lamps] | None,
    fitted: Callable[[], Iterable[SelfTestLine]],
    upside_down: bool = False,
) -> Iterator[SelfTestLine]:
    """Run all checks; one that fails does not stop the others. lamps: opens the buzzer and alert lamp, if
    any.

    fitted: a line for each of the other parts that [parts] names. upside_down: whether the running reader's
    reads show that its camera hangs upside down.
    """
    yield _slot(ledger)
    yield _log(ledger)
    yield from _board(board)
    yield _clock(clock)
    yield _models()
    if lamps is not None:
        yield _sounder(lamps)
    yield from fitted()
    try:
        frame = newest()
    except (MissingDriverError, NoSuchSourceError, EndOfSourceError, FrameWithheldError) as error:
        yield SelfTestLine(name="camera", good=None, said=str(error))
        return
    except HardwareError as error:
        yield SelfTestLine(name="camera", good=False, said=str(error))
        return
    height, width = frame.luma.shape
    seems = f", seems to be upside down: {CURES[Alarm.UPSIDE_DOWN]}" if upside_down else ""
    yield SelfTestLine(name="camera", good=not upside_down, detail=f"{width} x {height}{seems}")
    yield _picture(frame)
    yield _detector(frame, find)


def _slot(ledger: Ledger) -> SelfTestLine:
    slot = ledger.store.slot
    try:
        generation = load_slot(slot).generation
    except (StorageError, HardwareError) as error:
        return SelfTestLine(name="key slot", good=False, said=str(error))
    said, own = (slot.uri, ()) if _OWN_SLOT.fullmatch(slot.uri) is None else ("", (slot.uri,))
    return SelfTestLine(
        name="key slot", good=True, said=said, detail=", ".join((*own, f"generation {generation}"))
    )


def _log(ledger: Ledger) -> SelfTestLine:
    with ledger.store.lock:
        head = ledger.store.log.head_note()
    if head is None:
        return SelfTestLine(name="log", good=False, detail="no signed head: run reader verify")
    return SelfTestLine(name="log", good=True, detail="signed head present")


def _board(board: Board) -> Iterator[SelfTestLine]:
    vitals = board.look()
    free = vitals.disk_free_bytes
    yield SelfTestLine(name="disk", good=free >= FREE_LEAST, detail=f"{coarse_free(free) >> 20} MB free")
    if vitals.swaps_to_card is not None:
        swap = "on the card: turn it off (sudo swapoff -a)" if vitals.swaps_to_card else "none on the card"
        yield SelfTestLine(name="swap", good=not vitals.swaps_to_card, detail=swap)
    if vitals.temperature_c is None:
        yield SelfTestLine(name="temperature", good=None, detail="no sensor")
    else:
        warm = f"{vitals.temperature_c:.0f} C"
        yield SelfTestLine(name="temperature", good=vitals.temperature_c < HOT_C, detail=warm)
    up = [screened_name(link.name) for link in vitals.links if link.up]
    yield SelfTestLine(name="network", good=bool(up) or None, detail=", ".join(up) or "no link is up")


def _clock(clock: Clock) -> SelfTestLine:
    now = clock.now()
    if now.state is TimeState.UNKNOWN:
        detail = "unknown: needs a network with time, a receiver, a battery clock, or `time` at the console"
        return SelfTestLine(name="clock", good=None, detail=detail)
    return SelfTestLine(name="clock", good=True, detail=f"{now.state}, within {margin_text(now.error_us)}")


def _models() -> SelfTestLine:
    """Test the nets with the drawn plate that comes with them; no real plate is read."""
    try:
        PlateReader.from_models()
    except DetectorError as error:
        return SelfTestLine(name="models", good=False, said=str(error))
    return SelfTestLine(name="models", good=True, detail="read the drawn plate they come with")


def sounder_of(parts: PartsSettings) -> Callable[[], Lamps] | None:
    """A function that opens the buzzer and the alert lamp; None on a unit that has neither."""
    if parts.buzzer_pin is None and parts.alert_pin is None:
        return None
    return partial(GpioLamps, buzzer_pin=parts.buzzer_pin, alert_pin=parts.alert_pin)


def _sounder(lamps: Callable[[], Lamps]) -> SelfTestLine:
    """Turn buzzer and lamp on for a moment, so that the installer hears and sees them."""
    try:
        part = lamps()
    except HardwareError as error:
        return SelfTestLine(name="alert sounder", good=False, said=str(error))
    try:
        part.switch(Lamp.BUZZER, on=True)
        part.switch(Lamp.ALERT, on=True)
        lit = part.lit & {Lamp.BUZZER, Lamp.ALERT}
        time.sleep(BEEP_S)
    except HardwareError as error:
        return SelfTestLine(name="alert sounder", good=False, said=str(error))
    finally:
        part.close()
    return SelfTestLine(
        name="alert sounder", good=bool(lit), detail=f"switched: {', '.join(sorted(lit)) or 'none'}"
    )


def _picture(frame: Frame) -> SelfTestLine:
    quality = picture_quality(frame.luma[::2, ::2])
    detail = (
        f"sharpness {quality.sharpness:.0f}, brightness {quality.mean:.0f}, contrast {quality.contrast:.0f}"
    )
    return SelfTestLine(name="picture", good=quality.contrast >= 4.0, detail=detail)


def _detector(frame: Frame, find: Callable[[Frame], Spots]) -> SelfTestLine:
    try:
        count = len(find(frame).plates)
    except DetectorError as error:
        return SelfTestLine(name="detector", good=False, said=str(error))
    return SelfTestLine(name="detector", good=True, detail=f"ran; plates in view: {count}")
