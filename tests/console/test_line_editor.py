"""From keys to lines: editing works as people expect, and noise never becomes a line."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.console.armor import Collector, to_lines
from firmware.console.errors import ConsoleError, LineRefusedError
from firmware.console.line_editor import LINE_LIMIT, Interrupted, Line, LineEditor, Spoiled
from firmware.console.parser import FORMS, completions, parse, recorded_form

EXAMPLES = 100_000 if os.environ.get("ALPR_FAULTS") == "full" else 500
UP, DOWN, LEFT, RIGHT, HOME, END, DELETE = (
    b"\x1b[A",
    b"\x1b[B",
    b"\x1b[D",
    b"\x1b[C",
    b"\x1b[H",
    b"\x1b[F",
    b"\x1b[3~",
)


def events(keys: bytes, *, step: int = 1000) -> list[object]:
    editor = LineEditor(lambda start: completions(start, tuple(FORMS)))
    editor.prompt("> ")
    found: list[object] = []
    for at in range(0, len(keys), step):
        editor.feed(keys[at : at + step])
        while (event := editor.next_event()) is not None:
            found.append(event)
    return found


def screen_of(output: bytes, width: int = 80) -> str:
    """The last row of a terminal after these bytes; knows carriage return, erase to end, cursor left."""
    row, column = [" "] * width, 0
    at = 0
    while at < len(output):
        if output[at : at + 2] == b"\x1b[":
            end = at + 2
            while chr(output[end]).isdigit():
                end += 1
            if output[end : end + 1] == b"K":
                row[column:] = [" "] * (width - column)
            elif output[end : end + 1] == b"D":
                column -= int(output[at + 2 : end])
            at = end + 1
            continue
        if output[at] == 0x0D:
            column = 0
        elif output[at] == 0x0A:
            row = [" "] * width
        else:
            row[column] = chr(output[at])
            column += 1
        at += 1
    return "".join(row).rstrip()


@pytest.mark.parametrize("step", [1, 2, 1000])
@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (b"status\r", "status"),
        (b"status\n", "status"),
        (b"statsu\x7f\x7fus\r", "status"),
        (b"atus" + HOME + b"st" + END + b"!\r", "status!"),
        (b"sync nwo" + LEFT + b"\x08" + RIGHT + b"w\r", "sync now"),
        (b"sync later\x17now\r", "sync now"),
        (b"junk\x15status\r", "status"),
        (b"status junk" + LEFT * 5 + b"\x0b\r", "status"),
        (b"sta\t\r", "status "),
        (b"sync n\t\r", "sync now "),
        (b"zz\t\r", "zz"),
    ],
)
def test_keys_edit_the_line(keys: bytes, line: str, step: int) -> None:
    assert events(keys, step=step) == [Line(line)]


def test_carriage_return_with_line_feed_is_one_line_end() -> None:
    assert events(b"a\r\nb\r\nc\n\n") == [Line("a"), Line("b"), Line("c"), Line("")]


def test_history_brings_lines_back_but_never_a_secret() -> None:
    editor = LineEditor()
    editor.prompt("> ")
    editor.feed(b"first\rsecond\r" + UP + UP + b"\r" + UP + UP + UP + DOWN + b"\r")
    got = [editor.next_event() for _ in range(4)]
    assert got == [Line("first"), Line("second"), Line("first"), Line("second")]
    editor.prompt("passphrase: ", secret=True)
    editor.take_output()
    editor.feed(b"hunter2\r")
    assert editor.next_event() == Line("hunter2")
    assert editor.take_output() == b"\r\n"
    editor.prompt("> ")
    editor.feed(UP + b"\r")
    assert editor.next_event() == Line("second")


@pytest.mark.thorough
@pytest.mark.one_python
@settings(deadline=None, max_examples=EXAMPLES)
@given(
    columns=st.integers(20, 200),
    keys=st.lists(
        st.one_of(
            st.text("abcdefgh 0123456789", min_size=1, max_size=30).map(str.encode),
            st.sampled_from([LEFT, RIGHT, HOME, END, DELETE, b"\x7f", b"\x0b", b"\x17", LEFT * 30]),
        ),
        max_size=30,
    ),
    prompt=st.text("abc-> ", max_size=40),
)
def test_a_line_stays_in_its_row_however_narrow_the_terminal(
    columns: int, keys: list[bytes], prompt: str
) -> None:
    editor = LineEditor()
    assert b"\x1b[6n" in editor.measure()
    editor.feed(b"\x1b[24;%dR" % columns)
    assert editor.next_event() is None  # the answer is read before anything is shown
    editor.prompt(prompt)
    sent = b""
    for key in keys:
        editor.feed(key)
        assert editor.next_event() is None
        sent += editor.take_output()
        row = screen_of(sent, columns)  # raises IndexError where a character would wrap
        text = "".join(editor._text)
        shown = row[len(prompt[-(columns // 2) :]) :].strip()
        assert shown in text
        assert len(row) < columns
    assert b"\n" not in sent


def test_a_long_line_is_shown_from_its_end_while_it_is_typed_and_whole_once_it_fits() -> None:
    editor = LineEditor()
    editor.prompt("unit-7> ")
    code = "enroll ALPR1-" + "".join(f"{number:03}" for number in range(40))
    editor.feed(code.encode())
    assert editor.next_event() is None
    assert screen_of(editor.take_output()).endswith(code[-10:])
    editor.feed(HOME)
    assert editor.next_event() is None
    assert screen_of(editor.take_output()).startswith("unit-7> enroll ALPR1-")
    editor.feed(END + b"\x15status\r")
    assert editor.next_event() == Line("status")


def test_the_terminal_s_answer_is_not_typing() -> None:
    assert events(b"sta\x1b[50;132Rtus\r", step=1) == [Line("status")]
    assert events(b"sta\x1b[50;Rtus\r") == [Spoiled()]


def test_what_is_on_the_screen_is_what_is_in_the_line() -> None:
    editor = LineEditor()
    editor.prompt("unit-7> ")
    editor.feed(b"sync now" + LEFT * 4 + b"XY" + LEFT + b"\x7f" + HOME + DELETE)
    assert editor.next_event() is None
    assert screen_of(editor.take_output()) == "unit-7> yncY now"


@pytest.mark.parametrize(
    "noise", [b"\x00", b"\x80", b"\xff\xfe", b"\x1b[9~", b"\x1bZ", b"\x1f", "ä".encode()]
)
def test_a_line_with_noise_in_it_is_spoiled_and_the_next_one_is_not(noise: bytes) -> None:
    assert events(b"reb" + noise + b"oot unit-7\rstatus\r") == [Spoiled(), Line("status")]


def test_a_line_that_is_too_long_is_spoiled_not_cut() -> None:
    assert events(b"x" * (LINE_LIMIT + 1) + b"\rstatus\r") == [Spoiled(), Line("status")]


def test_control_c_drops_the_line_and_control_d_ends_no_session() -> None:
    assert events(b"rebo\x03\x04x\x04\r") == [Interrupted(), Line("x")]


@pytest.mark.one_python
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=600), st.integers(1, 50))
def test_no_bytes_break_the_editor_and_lines_are_printable(keys: bytes, step: int) -> None:
    for event in events(keys, step=step):
        if isinstance(event, Line):
            assert len(event.text) <= LINE_LIMIT
            assert event.text == "" or (event.text.isascii() and event.text.isprintable())


@pytest.mark.thorough
@pytest.mark.one_python
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.one_of(
        st.text(max_size=120),
        st.lists(st.one_of(st.sampled_from(list(FORMS)), st.text(max_size=12)), max_size=6).map(" ".join),
    )
)
def test_a_line_is_a_whole_command_or_refused_and_never_recorded_raw(line: str) -> None:
    try:
        command = parse(line)
    except ConsoleError:
        recorded = recorded_form(line)
        assert recorded.split(" ")[0] in FORMS or recorded.startswith("(")
        return
    if command is None:
        return
    form = command.form
    assert len(form.words) - form.optional <= len(command.words) <= len(form.words)
    if 0 <= form.secret < len(command.words):
        assert command.recorded.split(" ")[1 + form.secret] == "***"


@pytest.mark.parametrize(
    "line",
    ["reboot", "factory-reset", "sync", "sync later", "time yesterday", "status;x",
     "logs -5", "logs 9999", "update $(reboot)", "update ../x y", "aim preview 5 6", "'", "camera gain 'a b'",
     "query", "export", "sh", "../status", "STATUS"],
)  # fmt: skip
def test_what_is_not_a_command_in_its_form_is_refused(line: str) -> None:
    with pytest.raises(LineRefusedError):
        parse(line)


@settings(deadline=None)
@given(st.binary(max_size=2000), st.randoms())
def test_an_answer_survives_lines_in_any_order_and_pasted_twice(data: bytes, random: object) -> None:
    *lines, end = to_lines(data)
    shuffled = lines * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    collector = Collector()
    assert all(collector.take(line) is None for line in shuffled)
    assert collector.take(end) == data


@pytest.mark.one_python
@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.data())
def test_a_damaged_line_is_named_and_nothing_is_taken_from_it(data: bytes, draw: st.DataObject) -> None:
    lines = to_lines(data)
    which = draw.draw(st.integers(0, len(lines) - 1))
    line = lines[which]
    at = draw.draw(st.integers(0, len(line) - 1))
    lines[which] = line[:at] + draw.draw(st.sampled_from("aZ0 +/=~")) + line[at + 1 :]
    collector, whole = Collector(), None
    for text in lines:
        try:
            whole = collector.take(text) or whole
        except LineRefusedError:
            continue
    assert whole in (None, data)


def test_a_missing_line_is_asked_for_by_number() -> None:
    lines = to_lines(bytes(200))
    collector = Collector()
    for line in [*lines[:2], *lines[3:-1]]:
        collector.take(line)
    with pytest.raises(LineRefusedError, match="missing: 3"):
        collector.take(lines[-1])
    collector.take(lines[2])
    assert collector.take(lines[-1]) == bytes(200)
