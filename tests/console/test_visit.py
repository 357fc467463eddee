"""A whole visit through a real pseudo-terminal: department, unit and laptop as programs of their own."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.tools.transcript import visit

CLIP = Path(__file__).parent.parent / "replay" / "drive_by"


def test_a_technician_installs_aims_syncs_and_leaves_without_seeing_a_plate(tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen not installed")
    session = visit(tmp_path, CLIP)
    for words in (
        "Open without a login: enroll, aim, selftest, network.",
        "all parts that are here work",
        "of Monrovia PD",
        "welcome t.okafor (technician, the department): installation",
        "kept, and in force from the next frame",
        "department reachable",
        "bye",
    ):
        assert words in session
    assert re.search(r"done: [1-9]\d* records sent, department co-signed [1-9]", session)
    assert re.search(r"clock +holdover, within 6\d s", session)  # by the department's own word
    texts = {vehicle["text"] for vehicle in json.loads((CLIP / "truth.json").read_text())["vehicles"]}
    assert len(texts) >= 2
    assert not [text for text in texts if text in session.upper().replace(" ", "")]
