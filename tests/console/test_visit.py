"""A whole visit through a real pseudo-terminal: department, unit and laptop as separate programs."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from reader_process import CLIP, TWO_CARS
from warm_program import DEPARTMENT, READER, run_warm

from tests.tools.rehearsal import Silence, console_of
from tests.tools.transcript import BEGIN, END, Visit, tidy, visit

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "firmware" / "console" / "README.md"
RECORD = "python -m tests.tools.transcript --source tests/replay/drive_by --readme firmware/console/README.md"
PROMPT = re.compile(r"^((?:reader-1|car-12)(?: t\.okafor)?)> (.*)$")
MACHINE = re.compile(
    r"bytes flow|no bytes yet|^ |^[X:# ]+$|^plate \d|^no plate"
)  # links, pictures, what is in view


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen not installed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.tools.transcript.ROUND_S", 4.0)
        patched.setattr(Visit, "call", say)
        return visit(tmp_path_factory.mktemp("visit"), TWO_CARS)


def say(_visit: Visit, program: str, home: Path, *words: str) -> str:
    """Type a command of the visit. Returns its output without its start-up time."""
    done = run_warm(READER if Path(program).name == "reader" else DEPARTMENT, "--home", str(home), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def label(line: str) -> str:
    """What is the same in a line on every machine: a row's name, or a sentence with masked numbers."""
    columns = re.split(r" {2,}", line.rstrip())
    if columns[0] in {"ok", "skipped", "WRONG"} and len(columns) > 1:
        return columns[1]
    named = line if len(columns) == 1 else columns[0]
    return re.sub(r"[0-9a-f]{8}\.\.\.|[a-z2-7]{8}\.\.\.|:[0-9a-f]{4}\b|\d+", "N", named)


def shape(text: str) -> list[tuple[str, list[str]]]:
    """A session as (prompt and command, its lines), without what depends on the machine and its scene."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        match = PROMPT.match(line)
        if match:
            found.append((match[0], []))
        elif line.strip() and not MACHINE.search(line) and label(line) not in found[-1][1]:
            found[-1][1].append(label(line))
    return found


def test_a_technician_installs_aims_syncs_and_leaves_without_seeing_a_plate(session: str) -> None:
    for words in (
        "Open without a login: enroll, aim, selftest, network.",
        "all parts that are here work",
        "of Monrovia PD",
        "welcome t.okafor (technician, the department): maintenance: installation",
        "saved; applies from the next frame",
        "department reachable",
        "bye",
    ):
        assert words in session
    assert "done: the department has and signed all that is here" in session
    assert re.search(r"clock +holdover, within 6\d s", session)  # from the department's time
    texts = {vehicle["text"] for vehicle in json.loads((CLIP / "truth.json").read_text())["vehicles"]}
    assert len(texts) >= 2
    assert not [text for text in texts if text in session.upper().replace(" ", "")]


def test_the_page_shows_the_visit_that_the_console_gives_today(session: str) -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    recorded = shown.strip().removeprefix("```text").removesuffix("```").strip()
    assert shape(recorded) == shape(session), f"record it again: {RECORD}"


def test_the_page_shows_no_one_time_value_whole() -> None:
    code, unit, log = "ALPR1-" + "K7Q5D3HB" * 12, "a3" * 16, "c7857c3e" * 6
    seen = (
        f"reader-1> enroll {code[:50]}\rreader-1> {code[45:90]}\rreader-1> {code[60:]}\r\n"
        f"this unit is car-12 ({unit}) of Monrovia PD\r\n{unit}:{'x2' * 16}:d0a6\r\n"
        f"log id                       {log}\r\n                             b543076d5ca93\r\nbye\r\n"
    )
    assert tidy(seen) == (
        "reader-1> enroll CODE\nthis unit is car-12 (a3a3a3a3...) of Monrovia PD\n"
        "a3a3a3a3...:x2x2x2x2...:d0a6\nlog id                       c7857c3e...\nbye"
    )


def test_a_console_that_ends_is_named_with_its_last_words_at_once(tmp_path: Path) -> None:
    ends = [sys.executable, "-c", "import sys; sys.exit('no such port')"]
    with console_of(tmp_path, ends) as hands, pytest.raises(Silence, match="ended with 1: no such port"):
        hands.wait_for("press return")
