"""One file gives the same answers on every runtime: the one here, and those that `make runtimes` set up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from detector import answers
from detector.answers import Answers, Comparison, Difference, compare, note
from detector.reader import PlateReader

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIMES = ROOT / "run" / "runtimes"


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """LiteRT's answers on pictures of the clip, with its fast kernels and with the plain ones."""
    folder = tmp_path_factory.mktemp("answers")
    files = {"fast": folder / "fast.npz", "plain": folder / "plain.npz"}
    assert answers.main(["note", str(files["fast"])]) == 0
    assert answers.main(["note", str(files["plain"]), "--plain-kernels"]) == 0
    return files


def elsewhere(name: str, file: Path) -> tuple[int, dict[str, object]]:
    """The exit status and result of a comparison, run by another runtime's Python."""
    python = RUNTIMES / name / "python"
    if not python.is_file():
        pytest.skip(f"{python.relative_to(ROOT)} is not there: `make runtimes` sets it up")
    done = subprocess.run(
        [python, "-m", "detector.answers", "compare", file, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.thorough
@pytest.mark.slow
def test_the_aarch64_wheel_answers_within_a_step_with_the_same_texts(noted: dict[str, Path]) -> None:
    status, told = elsewhere("aarch64", noted["fast"])
    assert "aarch64" in str(told["compared_by"])
    assert status == 0
    assert told["other_same"] == told["other_texts"]


@pytest.mark.slow
def test_tflite_runtime_answers_within_a_step_of_the_same_kernels(noted: dict[str, Path]) -> None:
    status, told = elsewhere("tflite", noted["plain"])
    assert str(told["compared_by"]).startswith("tflite_runtime")
    assert status == 0
    assert told["other_same"] == told["other_texts"]


@pytest.mark.slow
def test_tflite_runtime_reads_the_sure_texts_that_the_fast_kernels_read(noted: dict[str, Path]) -> None:
    _, told = elsewhere("tflite", noted["fast"])
    assert told["sure_same"] == told["sure_texts"]


def test_the_same_runtime_answers_the_same_again(
    noted: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers.main(["compare", str(noted["fast"]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["steps"] for one in told["outputs"].values()} == {0}
    assert len(told["outputs"]) == 8
    assert told["sure_same"] == told["sure_texts"] > 0
    assert answers.main(["compare", str(noted["fast"])]) == 0
    assert "0 steps apart" in capsys.readouterr().out


def test_an_answer_two_steps_off_or_another_text_is_reported(noted: dict[str, Path]) -> None:
    here = Answers()
    with np.load(noted["fast"]) as file:
        found = dict(file)
    heat = found["detector/heat"]
    heat[0, 0, 0, 0] += 2 if heat[0, 0, 0, 0] < 100 else -2
    told = compare(here, found)
    assert told.outputs["detector heat"].steps == 2
    assert not told.agree
    facts = json.loads(found["facts"].tobytes())
    next(frame for frame in facts["texts"] if frame[0])[0][0] = "ZZZZZZZ"
    found["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    assert compare(here, found).sure_same == told.sure_texts - 1


def test_a_step_is_agreement_and_two_are_not() -> None:
    def comparison(steps: int) -> Comparison:
        return Comparison(
            noted_by="a",
            compared_by="b",
            outputs={"detector heat": Difference(steps=steps, share=0.1)},
            sure_texts=3,
            sure_same=3,
            other_texts=2,
            other_same=0,
        )

    assert comparison(1).agree
    assert not comparison(2).agree


def test_a_file_that_holds_no_answers_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.npz").write_bytes(b"PK no archive")
    for name in ("other.npz", "missing.npz"):
        assert answers.main(["compare", str(tmp_path / name)]) == 2
        assert name in capsys.readouterr().err
    assert answers.main(["note", str(tmp_path / "a.npz"), "--pictures", str(tmp_path)]) == 2
    assert "no JPEG or PNG" in capsys.readouterr().err


def test_patches_are_noted_for_every_plate_found() -> None:
    here = Answers()
    frames = answers._frames(answers.CLIP)
    made = note(here, frames)
    reader = PlateReader.from_models()
    assert len(made["reader/input"]) >= sum(len(reader.read(one).readings) for one in frames) > 0
    assert made["reader/input"].ndim == 3
    assert made["detector/heat"].shape[0] == len(frames)
