"""Where the unit is: fixes from NMEA sentences (`nmea_receiver.py` reads the line); a surveyed place as twin.

Promises: bytes that are not a whole, checksummed sentence change nothing, and an old fix does not count. A
contradiction (two receivers on one line, a leap that no vehicle makes) widens the error by its size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Protocol

from hw.errors import MissingDriverError

SENTENCE_LIMIT = 120  # NMEA 0183 says 82; some receivers write a little more
METRES_PER_HDOP = 5.0  # a typical user range error, for a receiver that sends no GST
EARLIEST_YEAR = 2025  # a receiver with a rolled-over week counter reports years before this software
FRESH_S = 3.0
WITHOUT_GGA_S = 5.0  # a receiver whose last GGA is older than this sends none
LEAST_ERROR_M = 1.0  # some receivers write 0.0 for an unknown error
MOST_ERROR_M = 20_100_000.0  # halfway around the earth: more means nothing
MOST_SPEED_M_S = 200.0  # of a vehicle
APART_M = 100.0  # between the places in two sentences of one second, if one of them has fewer digits
LEAP_S = 10.0  # after a leap: by then a false place is gone, or the new one has proved true
METERS_PER_DEGREE = 111_320.0


class FixQuality(Enum):
    """Field 6 of GGA, as far as it matters here."""

    NONE = "none"
    SATELLITE = "satellite"
    CORRECTED = "corrected"
    GUESSED = "guessed"  # dead reckoning, manual input or a simulator: a place, but not one from satellites


_QUALITIES = {
    0: FixQuality.NONE,
    1: FixQuality.SATELLITE,
    2: FixQuality.CORRECTED,
    3: FixQuality.SATELLITE,
    4: FixQuality.CORRECTED,
    5: FixQuality.CORRECTED,
    6: FixQuality.GUESSED,
    7: FixQuality.GUESSED,
    8: FixQuality.GUESSED,
}


_PLACES = frozenset({"GGA", "GNS"})
# of an RMC: autonomous, differential, RTK and precise; N is none; the others (E, M, S) are not from
# satellites
_MODES = {"A": FixQuality.SATELLITE, "N": FixQuality.NONE} | dict.fromkeys("DFRP", FixQuality.CORRECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dated:
    """A ZDA in place of an RMC: only date and time."""

    time: Any
    date: date
    status: str = "A"
    spd: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One position with its time. heard_s: when the sentence arrived, on the monotonic clock."""

    latitude_deg: float
    longitude_deg: float
    error_m: float
    quality: FixQuality
    utc_us: int
    heard_s: float
    speed_m_s: float | None = None


class PositionSource(Protocol):
    """Gives the newest fix."""

    def latest(self) -> Fix | None:
        """The newest fix if it is at most FRESH_S old, else None."""

    def at(self, ago_s: float) -> Fix | None:
        """The place ago_s seconds ago: the nearest fix within FRESH_S of then, or None.

        Its error is widened by the distance driven in between.
        """

    @property
    def trouble(self) -> str | None:
        """What is wrong with the source, in one line; None while it works, with or without a fix."""

    def close(self) -> None:
        """Stop listening."""


class SentenceCutter:
    """Cuts a byte stream into sentences; counts and drops noise and overlong or broken ones. No I/O."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The complete sentences with a correct checksum, `$...*hh` without line end."""
        self._held += data
        *lines, rest = self._held.split(b"\n")
        if len(rest) > SENTENCE_LIMIT:
            self.dropped += 1
            rest = bytearray()
        self._held = bytearray(rest)
        found = []
        for line in lines:
            start = line.rfind(b"$")
            sentence = bytes(line[start:]).rstrip(b"\r") if start >= 0 else b""
            if sentence and _is_sound(sentence):
                found.append(sentence)
            elif line.strip():
                self.dropped += 1
        return found


def _is_sound(sentence: bytes) -> bool:
    if not 10 <= len(sentence) <= SENTENCE_LIMIT or sentence[-3:-2] != b"*":
        return False
    checksum = 0
    for byte in sentence[1:-3]:
        if not 0x20 <= byte < 0x7F:
            return False
        checksum ^= byte
    return sentence[-2:].upper() == f"{checksum:02X}".encode()


class FixBuilder:
    """Joins the RMC, GGA and GST sentences of one second into a Fix. No I/O.

    A fix needs a valid RMC (status A, with date) and a GGA of the same second, or only the RMC if the
    receiver sends no GGA. A GNS with a place counts as a GGA if there is none. If the receiver sends no RMC,
    a ZDA gives the date. A GST gives the exact error; many receivers write it last, so the one of the
    previous second also counts. A receiver that hangs and repeats one second gives only one fix.
    """

    def __init__(self) -> None:
        try:
            from pynmeagps import NMEAReader  # noqa: PLC0415 - a driver imports late
            from pynmeagps.exceptions import (  # noqa: PLC0415
                NMEAMessageError,
                NMEAParseError,
                NMEAStreamError,
                NMEATypeError,
            )
        except ImportError as error:
            raise MissingDriverError("pynmeagps not found: install the reader's own dependencies") from error
        self._parse: Callable[[bytes], Any] = NMEAReader.parse
        # For a field that is not a number the library raises ValueError and the like.
        self._refusals = (
            NMEAMessageError, NMEAParseError, NMEAStreamError, NMEATypeError,
            ValueError, TypeError, KeyError, IndexError, AttributeError, UnicodeDecodeError, OverflowError,
        )  # fmt: skip
        self._gga: Any = None
        self._rmc: Any = None
        self._gst: Any = None
        self._gst_s = 0.0  # when it was heard
        self._gga_s = self._said_s = -math.inf  # the last one, or the first of any kind; the last of any kind
        self._placed_s = self._rmc_s = self._zda_s = -math.inf  # the last GGA or GNS, RMC, ZDA
        self._sure_s: float | None = None  # since when RMCs say that they are valid, but give no fix
        self._second: tuple[int, float, float] | None = None  # time and place of the last fix
        self.repeats = 0  # how often that was repeated
        self._before: tuple[tuple[float, float], float, float] | None = None  # place, own error, when heard
        self._leap_m, self._leap_s = 0.0, -math.inf  # how far the place leapt, and when
        self.refused = 0

    def lacks(self, now_s: float, within_s: float) -> str:
        """The kinds of sentences that a fix needs and that the last within_s seconds lacked; "" if none."""
        since_s = now_s - within_s
        if self._rmc_s >= since_s or min(self._zda_s, self._placed_s) >= since_s:
            return ""
        return "RMC" if self._placed_s >= since_s or self._zda_s >= since_s else "RMC and GGA"

    def take(self, sentence: bytes, heard_s: float) -> Fix | None:
        """The fix that this sentence completes, if any. sentence: whole and checksummed."""
        if sentence[3:6] not in {b"GGA", b"GNS", b"RMC", b"GST", b"ZDA"}:
            return None
        try:
            message = self._parse(sentence + b"\r\n")
            self._hear(message, heard_s)
            if message is self._gga or heard_s - self._said_s > WITHOUT_GGA_S - 1:  # the line was silent
                self._gga_s = heard_s
            self._said_s = heard_s
            fix = self._join(heard_s)
            self._note_sure(message, heard_s, joined=fix is not None)
        except self._refusals:
            self.refused += 1
            return None
        if fix is None:
            return None
        second = (fix.utc_us, fix.latitude_deg, fix.longitude_deg)
        self.repeats = self.repeats + 1 if second == self._second else 0
        self._second = second
        return None if self.repeats else fix

    def _hear(self, message: Any, heard_s: float) -> None:
        if message.msgID in _PLACES:
            self._placed_s = heard_s
            if message.msgID == "GGA" or self._counts(message):
                self._gga = message
        elif message.msgID == "RMC":
            self._rmc, self._rmc_s = message, heard_s
        elif message.msgID == "GST":
            self._gst, self._gst_s = message, heard_s
        else:
            self._zda_s = heard_s
            if heard_s - self._rmc_s > WITHOUT_GGA_S:
                day = date(int(message.year), int(message.month), int(message.day))
                self._rmc = _Dated(time=message.time, date=day)

    def _counts(self, gns: Any) -> bool:
        """Whether a GNS has a place (one for a single constellation may not) and its second has no GGA."""
        known = self._gga is not None and self._gga.msgID == "GGA" and self._gga.time == gns.time
        return not known and gns.lat not in {"", None} and _quality_of(gns) is not FixQuality.NONE

    def _note_sure(self, message: Any, heard_s: float, *, joined: bool) -> None:
        if joined or (message.msgID == "RMC" and message.status != "A"):
            self._sure_s = None
        elif message.msgID == "RMC" and self._sure_s is None:
            self._sure_s = heard_s

    def joins_none(self, now_s: float, within_s: float) -> bool:
        """Whether RMCs have been valid for within_s seconds without a fix."""
        return self._sure_s is not None and now_s - self._sure_s > within_s

    def _join(self, heard_s: float) -> Fix | None:
        gga, rmc, gst = self._gga, self._rmc, self._gst
        if heard_s - self._gga_s > WITHOUT_GGA_S:
            gga = self._gga = None
        elif gga is None or rmc is None or gga.time != rmc.time:
            return None
        if rmc is None or rmc.status != "A" or (gga is None and isinstance(rmc, _Dated)):
            return None
        quality = _MODES.get(getattr(rmc, "posMode", "A") or "A", FixQuality.GUESSED)
        if gga is not None:
            quality = _quality_of(gga)
        day, placed = rmc.date, rmc if gga is None else gga
        if quality is FixQuality.NONE or not isinstance(day, date) or day.year < EARLIEST_YEAR:
            return None
        latitude, longitude = float(placed.lat), float(placed.lon)
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return None
        error_m = float(getattr(placed, "HDOP", "") or 99.0) * METRES_PER_HDOP
        known = gst is not None and heard_s - self._gst_s < 2.0
        if known and {gst.stdLat, gst.stdLong}.isdisjoint({"", None}):
            error_m = math.hypot(float(gst.stdLat), float(gst.stdLong))
        also = placed if isinstance(rmc, _Dated) else rmc
        apart_m = _meters((latitude, longitude), (float(also.lat), float(also.lon)))
        if not (0 <= error_m <= MOST_ERROR_M and apart_m <= MOST_ERROR_M):
            return None
        moment = datetime.combine(day, placed.time, tzinfo=UTC)
        moment_us = round(moment.timestamp() * 1_000_000)
        error_m = self._doubted((latitude, longitude), max(error_m, LEAST_ERROR_M), apart_m, heard_s)
        speed_m_s = math.nan if rmc.spd in ("", None) else float(rmc.spd) * 1852 / 3600
        self._rmc = None  # one fix per second: a repeated GGA alone gives none
        return Fix(
            latitude_deg=latitude, longitude_deg=longitude, error_m=error_m, quality=quality,
            utc_us=moment_us, heard_s=heard_s,
            speed_m_s=speed_m_s if 0 <= speed_m_s <= MOST_SPEED_M_S else None,
        )  # fmt: skip

    def _doubted(self, place: tuple[float, float], error_m: float, apart_m: float, heard_s: float) -> float:
        """The error of a place (m), for LEAP_S widened by a leap or by the gap between its two sentences,
        since either place may be the true one.
        """
        if apart_m > error_m + APART_M:
            self._leap_m, self._leap_s = apart_m, heard_s
        if self._before is not None:
            before, before_m, before_s = self._before
            leap_m = _meters(place, before)
            if leap_m > error_m + before_m + MOST_SPEED_M_S * max(1.0, heard_s - before_s):
                self._leap_m, self._leap_s = leap_m, heard_s
        self._before = (place, error_m, heard_s)
        return error_m + (self._leap_m if heard_s - self._leap_s < LEAP_S else 0.0)


def _quality_of(placed: Any) -> FixQuality:
    """The quality in field 6 of a GGA, or the best letter of a GNS, which has one per constellation."""
    if placed.msgID == "GGA":
        return _QUALITIES.get(int(placed.quality), FixQuality.NONE)
    found = {_MODES.get(letter, FixQuality.GUESSED) for letter in str(placed.posMode)}
    best = (FixQuality.CORRECTED, FixQuality.SATELLITE, FixQuality.GUESSED)
    return next((one for one in best if one in found), FixQuality.NONE)


def _meters(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance (m) of two places (latitude, longitude in degrees); a few percent off if it is long."""
    north = one[0] - other[0]
    east = (one[1] - other[1] + 180.0) % 360.0 - 180.0
    return math.hypot(north, east * math.cos(math.radians(one[0]))) * METERS_PER_DEGREE


class FixedPosition:
    """The twin, and the source of a roadside unit at a surveyed place: that place, with the clock's time."""

    def __init__(
        self,
        latitude_deg: float,
        longitude_deg: float,
        *,
        error_m: float = 5.0,
        utc_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = (latitude_deg, longitude_deg, error_m)
        self._utc_us, self._monotonic = utc_us, monotonic
        self._closed = False
        self.trouble: str | None = None

    def latest(self) -> Fix | None:
        """See PositionSource.latest; the quality is GUESSED, so that it never disciplines a clock."""
        if self._closed:
            return None
        latitude, longitude, error_m = self._place
        return Fix(
            latitude_deg=latitude, longitude_deg=longitude, error_m=error_m, quality=FixQuality.GUESSED,
            utc_us=self._utc_us(), heard_s=self._monotonic(),
        )  # fmt: skip

    def at(self, ago_s: float) -> Fix | None:  # noqa: ARG002 - it never moved
        """See PositionSource.at."""
        return self.latest()

    def close(self) -> None:
        """See PositionSource.close."""
        self._closed = True


def nmea_sentence(body: str) -> bytes:
    """A sentence as a receiver writes it: `$body*hh` with its checksum and line end."""
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()


def nmea_second(
    moment: datetime,
    latitude_deg: float,
    longitude_deg: float,
    *,
    std_m: float = 2.0,
    quality: int = 1,
    speed_m_s: float = 0.0,
) -> bytes:
    """The three sentences that a receiver writes for one second. moment: aware, UTC."""

    def angle(value: float, width: int) -> str:
        whole = int(abs(value))
        return f"{whole:0{width}d}{(abs(value) - whole) * 60:07.4f}"

    clock = moment.astimezone(UTC).strftime("%H%M%S.00")
    place = (
        f"{angle(latitude_deg, 2)},{'N' if latitude_deg >= 0 else 'S'},"
        f"{angle(longitude_deg, 3)},{'E' if longitude_deg >= 0 else 'W'}"
    )
    motion = f"{speed_m_s * 3600 / 1852:.2f},0.0,{moment.astimezone(UTC):%d%m%y}"
    bodies: Iterable[str] = (
        f"GPGST,{clock},,,,,{std_m:.1f},{std_m:.1f},{std_m:.1f}",
        f"GPGGA,{clock},{place},{quality},09,0.9,120.0,M,-33.0,M,,",
        f"GPRMC,{clock},{'A' if quality else 'V'},{place},{motion},,,A",
    )
    return b"".join(nmea_sentence(body) for body in bodies)
