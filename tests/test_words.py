"""Code and pages are written in plain American English: no British spelling, none of the old phrases.

`organisation` is the name of a field in signed records: another name would be another format of logs.
"""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BRITISH = re.compile(  # but for colour_space and AnalogueGain of picamera2, and what chronyc prints
    r"colour(?!_space)|centre|\bgrey|judgement|optimis(?:e|ing|ation)|normalis(?:e|ation)|armour|analogue(?!Gain)"
    r"|\bmetres?\b|labelled(?!by)|modelled|neighbour|minimise|behaviour|travelling|(?<!Not )synchronis",
    re.IGNORECASE,
)
ROOMS = ("storage", "hw", "firmware", "sync", "detector", "image-build")
PHRASES = re.compile(  # the machine or a role acts, and a file is in a place
    r"\b(?:nobody|whoever|somebody|anybody|anew|hangs? up|hung up|borne out|bears? out|a slip|himself|his|he"
    r"|lies?|lay|stands?(?![ -]ins?\b)|stood|sp(?:eaks?|eaking|oken)|tells|told"
    r"|(?<!cannot )(?<!cannot-)(?<!no-)tell|goes on|going on|go on(?! and off)|went on)\b",
    re.IGNORECASE,
)


def modules(room: str) -> list[Path]:
    """The modules of a room, without the training of models."""
    training = ROOT / "detector" / "training"
    return [path for path in tracked(f"{room}/*.py") if training not in path.parents]


def tracked(*patterns: str) -> list[Path]:
    """The files that git tracks under these patterns, except vendored ones."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in listed if "/vendored/" not in name]


def found(pattern: re.Pattern[str], path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        yield from (f"{path.relative_to(ROOT)}:{number}: {one[0]}" for one in pattern.finditer(line))


def prose(text: str) -> str:
    """The comments and strings of a module, each on its own line."""
    lines = [""] * (text.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING}:
            for at, part in enumerate(token.string.splitlines()):
                lines[token.start[0] - 1 + at] += part
    return "\n".join(lines)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_in_american_spelling(room: str) -> None:
    wrong = [one for path in modules(room) for one in found(BRITISH, path, path.read_text(encoding="utf-8"))]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_does_in_plain_words(room: str) -> None:
    """What is in the prose is in the text, so most modules need not be taken apart."""
    texts = [(path, path.read_text(encoding="utf-8")) for path in modules(room)]
    asked = [(path, prose(text)) for path, text in texts if PHRASES.search(text)]
    assert [one for path, text in asked for one in found(PHRASES, path, text)] == []


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in tracked("*.md", ":!CHANGELOG.md")])
def test_a_page_says_what_it_does_in_plain_words(name: str) -> None:
    path = ROOT / name
    assert list(found(PHRASES, path, path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("suffix", ["html", "js", "toml"])
def test_templates_scripts_and_settings_are_in_plain_american_english(suffix: str) -> None:
    paths = [path for path in tracked(f"*.{suffix}") if (ROOT / "detector") not in path.parents]
    texts = [(path, path.read_text(encoding="utf-8")) for path in paths]
    assert len(texts) > 1
    assert [one for path, text in texts for one in found(PHRASES, path, text)] == []
    assert [one for path, text in texts for one in found(BRITISH, path, text)] == []


@pytest.mark.slow  # the same on any Python
def test_the_names_of_tests_say_what_the_machine_does() -> None:
    """A page quotes the names of the clauses' tests."""
    names = re.compile(r"def (test_\w+)")
    listed = [
        (path, name.replace("_", " "))
        for path in tracked("tests/*.py")
        for name in names.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(listed) > 1000
    assert [one for path, name in listed for one in found(PHRASES, path, name)] == []
