"""Tolerant searches, and answers in pages: newest first, near reads apart, nothing repeated or lost."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_seat import Seat
from desk_twins import GROUND, START_US, Department
from desk_units import Pass, UnitTwin
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import RecordError
from storage.read_records import ReadText
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.content.likeness import ALIKE, MAX_FORMS, fit, forms_of, is_near
from sync.department.content.reads import page_of
from sync.department.desk.inquiry.forms import (
    Answer,
    AnswerImageForm,
    AskForm,
    Entered,
    Estimate,
    ImageForm,
    Images,
    PageForm,
    RequestForm,
    RunForm,
)
from sync.department.journal.inquiry_entries import Area, Query
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.server.open_desk import adopt_root

Tokens = Callable[[str], str]
PLATES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=8)
NONE_OF_THEM = 36
CLASSES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def text_of(plate: str, *, slots: bytes = b"") -> ReadText:
    return ReadText(
        text=plate,
        confidence=0.9,
        jurisdiction="CA",
        slots=slots,
        candidates=(),
        frames_voted=3,
        plate_box=(0.0, 0.0, 1.0, 1.0),
        corners=(),
        models=(),
        software="test",
        demo=False,
    )


def slots_of(plate: str, doubt: dict[int, tuple[str, float]]) -> bytes:
    """The slot probabilities of a read; `doubt`: position to (other character, its probability)."""
    rows = []
    for at, one in enumerate(plate):
        row = [0.0] * 37
        other, chance = doubt.get(at, ("", 0.0))
        if one != "?":
            row[CLASSES.index(one)] = 1.0 - chance
        if other:
            row[CLASSES.index(other)] = chance
        rows += row
    return struct.pack(f"<{len(rows)}f", *rows)


@given(PLATES)
def test_forms_are_bounded_start_with_the_plate_and_differ_by_what_readers_confuse(plate: str) -> None:
    forms = forms_of(plate)
    assert forms[0] == plate
    assert len(forms) == len(set(forms)) <= MAX_FORMS
    for form in forms[1:]:
        changes = [(a, b) for a, b in zip(plate, form, strict=True) if a != b]
        assert 1 <= len(changes) <= 2
        assert all(b == "?" or ALIKE[a] == b for a, b in changes)


@given(PLATES)
def test_nearness_is_mutual_between_plates_of_few_doubtful_characters(plate: str) -> None:
    for form in forms_of(plate)[1:]:
        if "?" not in form and len(forms_of(form)) < MAX_FORMS:
            assert plate in forms_of(form)


@pytest.mark.parametrize(
    ("asked", "written"),
    [("7ULCI85", "7ULC185"), ("DTO2586", "DT02586"), ("0TD2586", "OTD2586"), ("9VRM2O2", "9VRM202"),
     ("8ABC123", "BABC123"), ("5ABC123", "SABC123"), ("7ABC123", "7A?C123"), ("OI23456", "0123456")],
)  # fmt: skip
def test_what_readers_write_for_a_plate_is_near_it(asked: str, written: str) -> None:
    assert is_near(asked, text_of(written))
    assert 0 < fit(asked, text_of(written)) < 1


@pytest.mark.parametrize(
    ("asked", "written"),
    [("7ABC123", "7ABC123"), ("7ABC123", "7ABD123"), ("7ABC123", "7ABC12"), ("OOO1234", "0001234"),
     ("7ABC123", "??BC123")],
)  # fmt: skip
def test_the_plate_itself_and_other_plates_are_not_near(asked: str, written: str) -> None:
    assert not is_near(asked, text_of(written))


def test_the_votes_own_probabilities_decide_how_near(department: Department) -> None:
    doubtful = text_of("DT02586", slots=slots_of("DT02586", {2: ("O", 0.4)}))
    certain = text_of("DT02586", slots=slots_of("DT02586", {2: ("O", 1e-6)}))
    assert fit("DTO2586", doubtful) == pytest.approx(0.4 / 0.6, rel=1e-4)
    assert is_near("DTO2586", doubtful)
    assert not is_near("DTO2586", certain)


# --- at the desk


@pytest.fixture
def many(department: Department) -> Department:
    """A department whose unit delivered a plate 25 times, and reads similar to it."""
    unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), "pole-3")
    day_us = START_US - 2 * DAY_US
    passes = [Pass(plate="9VRM202", at_us=day_us + n * MINUTE_US) for n in range(25)]
    passes += [
        Pass(plate="9VRM2O2", at_us=day_us + HOUR_US),
        Pass(plate="9VR?202", at_us=day_us + 2 * HOUR_US),
        Pass(plate="9VRM203", at_us=day_us + 3 * HOUR_US),
    ]
    unit.deliver(passes, received_us=day_us + 4 * HOUR_US)
    unit.close()
    return department


def search(department: Department, token: str, plate: str) -> Answer:
    form = RunForm(query=department.plate(plate), ground=GROUND)
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    return answer


def test_an_exact_search_finds_near_reads_apart_and_marked(many: Department, tokens: Tokens) -> None:
    answer = search(many, tokens("comm1"), "9VRM202")
    assert (answer.count, {one.plate for one in answer.reads}) == (25, {"9VRM202"})
    assert (answer.near_count, {one.plate for one in answer.near}) == (2, {"9VRM2O2", "9VR?202"})
    assert {one.fit for one in answer.reads} == {1.0}
    assert all(0 < one.fit < 1 for one in answer.near)
    misread = search(many, tokens("comm1"), "9VRM2O2")
    assert (misread.count, misread.near_count) == (1, 25)


def test_a_result_says_its_state_its_clock_and_the_local_time(many: Department, tokens: Tokens) -> None:
    one = search(many, tokens("comm1"), "9VRM202").reads[0]
    assert (one.jurisdiction, one.clock, one.time_error_us) == ("CA", "disciplined", 20_000)
    assert one.local_time.endswith("-07:00")  # Monrovia in September


@pytest.fixture
def paged(many: Department) -> Department:
    """The same, with a policy of ten results per page."""
    text = many.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    document = text.replace("results_max = 500", "results_max = 10", 1).encode()
    root = many.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(many.home, many.desk, root, document)
    return many


def test_a_command_shows_how_its_next_page_is_asked_for_until_there_is_none(
    paged: Department,
    tokens: Tokens,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seat = Seat(paged, tokens, monkeypatch, capsys)
    ground = ("--purpose", GROUND.purpose, "--case", GROUND.number, "--why", GROUND.justification)
    words: tuple[str, ...] = ("inquiry", "run", "--plate", "9VRM202", "--user", "comm1", *ground)
    shown: list[int] = []
    while words:
        status, out, err = seat.type("comm1", *words)
        assert status == 0, err
        shown.append(out.count("9VR"))
        more = [line for line in out.splitlines() if line.startswith("more: department ")]
        words = tuple(more[0].removeprefix("more: department ").split()) if more else ()
    assert shown == [10, 10, 7]


def test_pages_are_the_newest_first_and_together_the_whole(paged: Department, tokens: Tokens) -> None:
    many = paged
    token = many.logon("comm1")
    query = many.plate("9VRM202")
    first = many.call("inquiry/run", token, RunForm(query=query, ground=GROUND))
    assert isinstance(first, Answer)
    pages = [first]
    while pages[-1].next:
        page = many.call("inquiry/more", token, PageForm(access=first.access, after=pages[-1].next))
        assert isinstance(page, Answer)
        pages.append(page)
    assert [len(one.reads) + len(one.near) for one in pages] == [10, 10, 7]
    reads = [read for page in pages for read in page.reads]
    assert [one.first_us for one in reads] == sorted((one.first_us for one in reads), reverse=True)
    assert len({one.read for one in reads}) == 25
    last = pages[-1].reads[-1].read
    view = ImageForm(read=last, access=first.access, ground=GROUND)
    assert isinstance(many.call("inquiry/image", token, view), Images)


def test_a_page_of_another_search_another_person_or_an_old_one_is_refused(
    many: Department, tokens: Tokens
) -> None:
    answer = search(many, tokens("comm1"), "9VRM202")
    same = PageForm(access=answer.access, after="1:x")

    def code(user: str, asked: PageForm) -> str:
        with pytest.raises(DeskRefusal) as refused:
            many.call("inquiry/more", tokens(user), asked)
        return refused.value.code

    for entry in (answer.access, 0, 1 << 40):  # none shows which are others' accesses
        assert code("super", replace(same, access=entry)) == "other-search"
    assert code("comm1", replace(same, after="")) == "cursor"
    assert code("comm1", replace(same, after="x:y")) == "cursor"
    many.clock.step(61 * MINUTE_US)
    with pytest.raises(DeskRefusal) as refused:
        many.call("inquiry/more", many.logon("comm1"), same)
    assert refused.value.code == "old-search"


@given(
    since_us=st.integers(0, 4 * 10**15),
    until_us=st.integers(0, 4 * 10**15),
    plate=st.text("ABCXYZ0189*?", max_size=8),
    area=st.none()
    | st.builds(
        Area,
        latitude=st.floats(-90, 90),
        longitude=st.floats(-180, 180),
        radius_m=st.floats(0.5, 50_000),
    ),
    unit=st.sampled_from(["", "a1b2c3", "car 7"]),
)
def test_the_query_of_the_next_page_is_read_from_the_entry_of_the_first(
    since_us: int, until_us: int, plate: str, area: Area | None, unit: str
) -> None:
    query = Query(since_us=since_us, until_us=until_us, plate=plate, area=area, unit=unit)
    again = Query.of_text(query.text())
    assert again.text() == query.text()
    assert replace(again, area=None) == replace(query, area=None)
    if area is not None:
        assert again.area is not None
        assert again.area.radius_m == pytest.approx(area.radius_m, rel=1e-5)


@pytest.mark.parametrize("text", ["", "plate=7ABC123", "next page of entry 7", "plate=A from=x to=y"])
def test_what_no_query_wrote_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        Query.of_text(text)


def test_an_estimate_uses_no_key_and_says_what_would_be_opened(many: Department, tokens: Tokens) -> None:
    log = many.home.keys / "service.log"
    size = log.stat().st_size
    wide = AskForm(query=many.plate("9VR*"), ground=GROUND)
    made = many.call("inquiry/estimate", tokens("comm1"), wide)
    assert isinstance(made, Estimate)
    assert (made.days, made.reads, made.opens_all) == (3, 33 + 28, True)
    assert made.seconds > 0
    full = many.call("inquiry/estimate", tokens("comm1"), replace(wide, query=many.plate("9VRM202")))
    assert isinstance(full, Estimate)
    assert not full.opens_all
    one = replace(wide.query, unit="pole-3")
    fewer = many.call("inquiry/estimate", tokens("comm1"), replace(wide, query=one))
    assert isinstance(fewer, Estimate)
    assert (fewer.days, fewer.reads, fewer.opens_all) == (3, 28, True)
    assert 0 < fewer.seconds <= made.seconds
    assert log.stat().st_size == size


def test_the_officer_who_asked_sees_the_pictures_of_that_answer_alone(
    department: Department, tokens: Tokens
) -> None:
    asked = department.call(
        "inquiry/request", tokens("officer1"), AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    )
    assert isinstance(asked, Entered)
    queued = department.desk.log.entry(asked.entry).note
    run = RunForm(query=queued.query, ground=GROUND, request=asked.entry)  # type: ignore[attr-defined]
    department.call("inquiry/run", tokens("comm1"), run)
    answer = department.call("inquiry/answer", tokens("officer1"), RequestForm(request=asked.entry))
    assert isinstance(answer, Answer)
    read = answer.reads[0].read
    size = department.desk.log.size()
    form = AnswerImageForm(request=asked.entry, read=read)
    images = department.call("inquiry/answer-image", tokens("officer1"), form)
    assert isinstance(images, Images)
    assert images.patch
    entry = department.desk.log.entry(images.access)
    assert entry.sequence >= size
    assert (entry.stamp.user, entry.note.action) == ("officer1", "image")  # type: ignore[attr-defined]
    for user, change, code in (
        ("officer1", {"read": department.reads[0]}, "other-read"),
        ("analyst1", {}, "other-request"),
        ("comm1", {}, "other-request"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call("inquiry/answer-image", tokens(user), replace(form, **change))  # type: ignore[arg-type]
        assert refused.value.code == code


@pytest.mark.parametrize(
    "plate", ["8xyz123ı", "ß8XYZ12", "ﬁ8XYZ1", "８ＸＹＺ１２３", "8ХYZ123", "8X\u200bYZ123"]
)
def test_letters_that_no_plate_has_are_refused_not_turned_into_others(
    department: Department, tokens: Tokens, plate: str
) -> None:
    with pytest.raises(FormError) as refused:
        search(department, tokens("comm1"), plate)
    assert refused.value.code in {"plate", "characters"}


def test_a_page_of_nothing_has_no_next() -> None:
    assert page_of([], 10, "").next == ""
