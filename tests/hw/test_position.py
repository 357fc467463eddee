"""NMEA: sentences cut out of noise, fixes joined from the sentences of one second."""

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.position import WITHOUT_GGA_S, Fix, FixBuilder, FixQuality, SentenceCutter, nmea_second, nmea_sentence

EXAMPLES = 100_000 if os.environ.get("ALPR_FAULTS") == "full" else 500
MOMENT = datetime(2026, 5, 1, 12, 30, 15, tzinfo=UTC)


def fixes(stream: bytes, *, step: int = 7) -> list[tuple[float, float]]:
    cutter, builder = SentenceCutter(), FixBuilder()
    found = []
    for start in range(0, len(stream), step):
        for sentence in cutter.feed(stream[start : start + step]):
            fix = builder.take(sentence, 1.0)
            if fix is not None:
                found.append((fix.latitude_deg, fix.longitude_deg))
    return found


@pytest.mark.parametrize("place", [(34.1443, -118.0019), (-33.8568, 151.2153), (0.0, 0.0), (89.9, -179.9)])
def test_sentences_of_one_second_make_one_fix(place: tuple[float, float]) -> None:
    assert fixes(nmea_second(MOMENT, *place)) == [pytest.approx(place, abs=1e-5)]


def test_a_fix_survives_noise_between_sentences_and_a_cut_anywhere() -> None:
    stream = b"\xff\x00$GP" + nmea_second(MOMENT, 34.0, -118.0) + b"\x80$$$*\n" + nmea_second(
        MOMENT.replace(second=16), 34.1, -118.0
    )  # fmt: skip
    for step in (1, 2, 3, 64, 1000):
        assert len(fixes(stream, step=step)) == 2


@pytest.mark.parametrize("seed", range(0, 200, 9))
def test_one_flipped_bit_never_moves_the_unit(seed: int) -> None:
    stream = bytearray(nmea_second(MOMENT, 34.0, -118.0))
    stream[seed % len(stream)] ^= 1 << (seed % 8)
    assert all(place == pytest.approx((34.0, -118.0), abs=1e-5) for place in fixes(bytes(stream)))


def test_a_line_that_never_ends_is_dropped_not_kept() -> None:
    cutter = SentenceCutter()
    for _ in range(1000):
        cutter.feed(b"$GPGGA" + b"1" * 500)
    assert cutter.dropped > 0
    assert cutter.feed(b"\n" + nmea_sentence("GPGST,1,2"))


def test_the_error_is_the_receivers_own_where_it_comes_after_the_place() -> None:
    builder, cutter, found = FixBuilder(), SentenceCutter(), []
    for second in range(3):
        first, *rest = nmea_second(MOMENT.replace(second=second), 34.0, -118.0, std_m=7.0).splitlines(True)
        for sentence in cutter.feed(b"".join([*rest, first])):
            found.append(builder.take(sentence, 10.0 + second))
    errors = [fix.error_m for fix in found if fix is not None]
    assert errors == pytest.approx([4.5, 9.9, 9.9], abs=0.01)


@pytest.mark.parametrize(
    ("quality", "expected"),
    [(0, None), (1, FixQuality.SATELLITE), (2, FixQuality.CORRECTED), (6, FixQuality.GUESSED)],
)
def test_quality_is_that_of_the_receiver(quality: int, expected: FixQuality | None) -> None:
    builder, found = FixBuilder(), None
    for sentence in SentenceCutter().feed(nmea_second(MOMENT, 34.0, -118.0, quality=quality)):
        found = builder.take(sentence, 1.0) or found
    assert (found.quality if found else None) is expected


def test_a_receiver_with_a_rolled_over_week_counter_gives_no_fix() -> None:
    assert fixes(nmea_second(MOMENT.replace(year=2006, month=9), 34.0, -118.0)) == []


GGA = "GPGGA,120000.00,3800.0000,N,12100.0000,W,1,09,{hdop},120.0,M,-33.0,M,,"
RMC = "GPRMC,120000.00,A,3800.0000,N,12100.0000,W,{speed},0.0,010526,,,A"
ELSEWHERE = (
    "GLGGA,120000.00,3700.0000,N,12100.0000,W,1,09,0.9,120.0,M,-33.0,M,,",
    "GLRMC,120000.00,A,3700.0000,N,12100.0000,W,1.0,0.0,010526,,,A",
)


def said(*bodies: str, builder: FixBuilder | None = None, heard_s: float = 1.0) -> list[Fix]:
    builder = FixBuilder() if builder is None else builder
    found = [builder.take(nmea_sentence(body).rstrip(), heard_s) for body in bodies]
    return [fix for fix in found if fix is not None]


@pytest.mark.parametrize("speed", ["nan", "inf", "-inf", "-5", "1e308", "99999", ""])
def test_a_speed_that_no_vehicle_has_is_none(speed: str) -> None:
    """It widens the error of an earlier place: NaN let no read be stored, and -5 narrowed the error."""
    [fix] = said(GGA.format(hdop="0.9"), RMC.format(speed=speed))
    assert (fix.speed_m_s, fix.error_m) == (None, 4.5)


@pytest.mark.parametrize("hdop", ["-1", "nan", "inf", "1e308"])
def test_an_error_that_says_nothing_makes_no_fix(hdop: str) -> None:
    assert said(GGA.format(hdop=hdop), RMC.format(speed="1.0")) == []


@pytest.mark.parametrize(
    ("gst", "error_m"), [("0.0,0.0", 1.0), ("2.0,", 4.5), (",2.0", 4.5), ("3.0,4.0", 5.0)]
)
def test_an_error_that_the_receiver_does_not_know_is_not_nought(gst: str, error_m: float) -> None:
    [fix] = said(f"GPGST,120000.00,,,,,{gst},2.0", GGA.format(hdop="0.9"), RMC.format(speed="1.0"))
    assert fix.error_m == error_m


@pytest.mark.parametrize(
    ("mode", "quality"),
    [
        (",A", FixQuality.SATELLITE),
        ("", FixQuality.SATELLITE),
        (",R", FixQuality.CORRECTED),
        (",E", FixQuality.GUESSED),
        (",N", None),
    ],
)
def test_a_receiver_that_sends_no_gga_has_a_fix_of_a_wide_error(
    mode: str, quality: FixQuality | None
) -> None:
    builder = FixBuilder()
    rmc = f"GPRMC,120000.00,A,3700.0000,N,12200.0000,W,1.0,0.0,010526,,{mode}"
    assert said(rmc, builder=builder) == []  # its GGA may still come
    assert said(rmc, builder=builder, heard_s=WITHOUT_GGA_S) == []
    found = said(rmc, builder=builder, heard_s=1.0 + WITHOUT_GGA_S + 0.1)
    assert [(fix.quality, fix.error_m) for fix in found] == ([(quality, 495.0)] if quality else [])


def test_after_a_pause_of_the_line_the_gga_is_waited_for_again() -> None:
    builder = FixBuilder()
    gga, rmc = GGA.format(hdop="0.9"), RMC.format(speed="1.0")
    said(gga, rmc, builder=builder)
    later = [body.replace("120000", "120019") for body in (rmc, gga)]
    assert said(later[0], builder=builder, heard_s=20.0) == []
    [fix] = said(later[1], builder=builder, heard_s=20.1)
    assert fix.error_m < 10


def test_two_receivers_on_one_line_that_disagree_are_in_doubt_in_any_order() -> None:
    first = (GGA.format(hdop="0.9"), RMC.format(speed="1.0"))
    orders = ((*first, *ELSEWHERE), (first[0], ELSEWHERE[0], first[1], ELSEWHERE[1]))
    for order in orders:
        builder = FixBuilder()
        said(*order, builder=builder)
        fixes = said(*(body.replace("120000", "120001") for body in order), builder=builder, heard_s=2.0)
        assert fixes
        assert all(fix.error_m > 110_000 for fix in fixes)


def test_a_place_that_leaps_is_in_doubt_until_it_has_stayed() -> None:
    builder = FixBuilder()

    def error_m(second: float, *bodies: str) -> float:
        clock = f"12{int(second) // 60:02d}{int(second) % 60:02d}"
        [fix] = said(*(body.replace("120000", clock) for body in bodies), builder=builder, heard_s=second)
        return fix.error_m

    here = (GGA.format(hdop="0.9"), RMC.format(speed="1.0"))
    assert error_m(0.0, *here) == 4.5
    assert error_m(1.0, *ELSEWHERE) > 110_000
    assert error_m(2.0, *ELSEWHERE) > 110_000
    assert error_m(11.5, *ELSEWHERE) == 4.5
    assert error_m(1200.0, *here) == 4.5  # there was enough time for the distance


GNS = "GNGNS,120000.00,3800.0000,N,12100.0000,W,{modes},12,0.9,120.0,-33.0,,,V"
ZDA = "GNZDA,120000.00,01,05,{year},00,00"


@pytest.mark.parametrize(
    ("modes", "quality"),
    [
        ("AN", FixQuality.SATELLITE),
        ("NAND", FixQuality.CORRECTED),
        ("EN", FixQuality.GUESSED),
        ("NNNN", None),
    ],
)
def test_a_receiver_of_several_constellations_has_a_fix_by_its_gns(
    modes: str, quality: FixQuality | None
) -> None:
    for dated in (RMC.format(speed="1.0"), ZDA.format(year=2026)):
        found = said(GNS.format(modes=modes), dated)
        assert [(fix.quality, fix.error_m) for fix in found] == ([(quality, 4.5)] if quality else [])


EMPTY = ("GPGNS,120000.00,,,,,,7,,,,5.0,23", "GLGNS,120000.00,,,,,,5,,,,5.0,23")  # of one constellation each


@pytest.mark.parametrize(
    "bodies",
    [
        (GGA.format(hdop="0.9"), GNS.format(modes="AA"), *EMPTY, RMC.format(speed="1.0")),
        (GNS.format(modes="AA"), *EMPTY, RMC.format(speed="1.0")),
        (RMC.format(speed="1.0"), *EMPTY, GGA.format(hdop="0.9")),
        (GGA.format(hdop="0.9"), GNS.format(modes="NN"), RMC.format(speed="1.0")),
        (GGA.format(hdop="0.9"), "GNGNS,120000.00,,,,,NN,00,99.9,,,,", RMC.format(speed="1.0")),
    ],
)
def test_a_gns_without_a_place_takes_none_from_another_sentence_of_its_second(
    bodies: tuple[str, ...],
) -> None:
    assert [fix.error_m for fix in said(*bodies)] == [4.5]


def test_a_receiver_whose_gns_have_no_place_has_its_fix_by_its_rmc() -> None:
    builder, found = FixBuilder(), list[Fix]()
    for second in range(10):
        bodies = (RMC.format(speed="1.0"), *EMPTY)
        found += said(
            *(one.replace("120000", f"12000{second}") for one in bodies), builder=builder, heard_s=second
        )
    assert len(found) >= 4


def test_a_receiver_that_has_a_place_but_never_a_fix_is_named() -> None:
    builder = FixBuilder()
    old = RMC.format(speed="1.0").replace("010526", "010506")  # its week counter rolled over
    said(GGA.format(hdop="0.9"), old, builder=builder)
    assert [builder.joins_none(at, 10.0) for at in (5.0, 12.0)] == [False, True]
    said(old.replace(",A,3800", ",V,3800"), builder=builder, heard_s=12.0)
    assert not builder.joins_none(30.0, 10.0)


def test_a_receiver_without_rmc_has_its_date_by_zda_and_a_void_rmc_is_never_made_good_by_one() -> None:
    gga = GGA.format(hdop="0.9")
    for order in ((gga, ZDA.format(year=2026)), (ZDA.format(year=2026), gga)):
        [fix] = said(*order)
        assert (fix.utc_us, fix.speed_m_s) == (1_777_636_800_000_000, None)
    assert said(gga, ZDA.format(year=2006)) == []
    assert said(gga, ZDA.format(year="")) == []
    void = RMC.format(speed="1.0").replace(",A,3800", ",V,3800")
    assert said(void, gga, ZDA.format(year=2026)) == []


def test_a_receiver_that_hangs_gives_its_last_second_once() -> None:
    builder = FixBuilder()
    both = (GGA.format(hdop="0.9"), RMC.format(speed="1.0"))
    assert [len(said(*both, builder=builder, heard_s=float(second))) for second in range(4)] == [1, 0, 0, 0]
    assert builder.repeats == 3
    assert len(said(*(body.replace("120000", "120004") for body in both), builder=builder, heard_s=4.0)) == 1
    assert builder.repeats == 0


@pytest.mark.parametrize(
    ("bodies", "lacks"),
    [
        ([GGA.format(hdop="0.9")], "RMC"),
        ([GNS.format(modes="AN")], "RMC"),
        ([ZDA.format(year=2026)], "RMC"),
        (["GPGLL,3800.0000,N,12100.0000,W,120000.00,A,A"], "RMC and GGA"),
        ([RMC.format(speed="1.0")], ""),
        ([GGA.format(hdop="0.9"), ZDA.format(year=2026)], ""),
    ],
)
def test_a_receiver_that_sends_too_few_kinds_of_sentence_is_named(bodies: list[str], lacks: str) -> None:
    builder = FixBuilder()
    said(*bodies, builder=builder, heard_s=5.0)
    assert builder.lacks(10.0, 10.0) == lacks
    assert builder.lacks(100.0, 10.0) == "RMC and GGA"


def test_sentences_of_different_seconds_are_not_joined() -> None:
    earlier = nmea_second(MOMENT, 34.0, -118.0).split(b"\r\n")[1] + b"\r\n"
    later = nmea_second(MOMENT.replace(second=16), 35.0, -118.0).split(b"\r\n")[2] + b"\r\n"
    assert fixes(earlier + later) == []


@pytest.mark.parametrize(("hdop", "count"), [("0.9", 1), ("-1.0", 0), ("1e400", 0)])
def test_a_place_whose_error_is_not_a_length_is_not_a_fix(hdop: str, count: int) -> None:
    _, place, motion = nmea_second(MOMENT, 34.0, -118.0).decode().split()
    body = place[1:].partition("*")[0].replace(",0.9,", f",{hdop},")
    assert len(fixes(nmea_sentence(body) + f"{motion}\r\n".encode())) == count


FIELDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="*$"), max_size=12)


@pytest.mark.thorough
@pytest.mark.one_python
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.tuples(
                st.sampled_from(["GPGGA", "GPRMC", "GPGST", "GNRMC", "GNGNS", "GNZDA", "PUBX", "GPXXX"]),
                st.lists(FIELDS, max_size=16),
            ),
            max_size=6,
        ).map(lambda rows: b"".join(nmea_sentence(",".join([name, *fields])) for name, fields in rows)),
    )
)
def test_no_bytes_from_the_receiver_raise_or_give_an_impossible_place(stream: bytes) -> None:
    for latitude, longitude in fixes(stream, step=50):
        assert -90 <= latitude <= 90
        assert -180 <= longitude <= 180
