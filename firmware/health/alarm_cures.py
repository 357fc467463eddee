"""What a person does about each alarm, in a short line. Fixed texts: nothing of a read, no place, no time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sync.health import Alarm

CURES: Mapping[Alarm, str] = {
    Alarm.NO_FRAMES: "the log says why (`logs`, journalctl -u alpr-reader); check cable and camera.source",
    Alarm.DARK: "is the lens cap off, do the lamps fire? `aim` shows the light",
    Alarm.COVERED: "look at the lens: cover, dirt, snow; `aim` shows the picture",
    Alarm.FROZEN: "switch the camera off and on; if it comes back, replace it",
    Alarm.KNOCKED: "aim it again: `aim preview`; ten reads make the new view the usual one",
    Alarm.UPSIDE_DOWN: "`camera rotation 180` (0 if it is 180); if you turned the unit: enter the same again",
    Alarm.FEW_READS: "is a lane closed? if not, clean and aim the camera: `aim preview`",
    Alarm.HOT: "give it shade and air; over 80 C the board slows down",
    Alarm.THROTTLED: "heat or a weak supply: cool it, then fit a stronger supply and a shorter cable",
    Alarm.UNDERVOLTAGE: "fit a 5 V, 3 A supply (Pi 5: 5 A) and a short cable",
    Alarm.DISK_LOW: "sync, so that it purges; remove files that are not the reader's, or fit a larger card",
    Alarm.CARD_WORN: "sync, then replace the card: `Replace, move, retire` on the page of firmware/",
    Alarm.CLOCK_LOOSE: "connect a network with time or a receiver; `time` or a sync is not enough",
    Alarm.CLOCK_UNKNOWN: "connect a network with time or a receiver, or set it with `time`; no sync sets it",
    Alarm.SYNC_LATE: "reader sync status names the cause; `network` tests the connection",
    Alarm.CONFIGURATION_REFUSED: "`update` at the console names it; the department sends a corrected one",
    Alarm.CLOSED_LOG: "reader sync now delivers it; else copy it: department incident import",
    Alarm.CLOCK_IN_DOUBT: "compare the clock with another; a sync confirms the time, or opens a new log",
    Alarm.PURGE_FAILED: "the log names the file (`logs`, journalctl -u alpr-reader); sync, replace the card",
    Alarm.HOME_SHUT: "the log names each file and what to do (`logs`, journalctl -u alpr-reader)",
    Alarm.LIST_EXPIRED: "its alerts are OFF: reader hotlist list says why; sync, or ask for a new version",
    Alarm.LIST_IN_DOUBT: "its alerts are marked stale because the clock is not set: sync, then set it",
    Alarm.SENSOR_FAILED: "the log names the part (`logs`, journalctl -u alpr-reader); so does selftest",
    Alarm.UPDATE_GIVEN_UP: "`update` at the console says why; install a version that starts",
    Alarm.SECOND_DISK: "remove the stick or card that is not this unit's, then restart",
}


def alarm_lines(alarms: Iterable[Alarm]) -> Iterator[str]:
    """A line for each alarm: its name, and what a person does about it."""
    for alarm in alarms:
        yield f"{alarm}: {CURES[alarm]}"
