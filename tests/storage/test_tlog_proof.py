"""C2SP proof files read back as written, and every limit of the format is exact."""

from __future__ import annotations

import base64

import pytest

from storage import tlog_proof
from storage.errors import ProofError

HASH = bytes(range(32))
LINE = base64.b64encode(HASH).decode()
HEAD = "c2sp.org/tlog-proof@v1\nindex 7\n"
MOST = 65_536


def test_a_proof_is_read_as_it_was_written() -> None:
    text = tlog_proof.write(7, [HASH, HASH], "note\n")
    assert text == f"{HEAD}{LINE}\n{LINE}\n\nnote\n"
    assert tlog_proof.parse(text) == tlog_proof.TlogProof(7, (HASH, HASH), "note\n")
    assert tlog_proof.parse(f"{HEAD}\nnote\n\nmore\n").checkpoint == "note\n\nmore\n"
    assert tlog_proof.parse(HEAD.replace("7", "0") + "\n").index == 0


def test_the_longest_path_and_the_longest_file_are_read_and_no_longer_ones() -> None:
    assert len(tlog_proof.parse(HEAD + f"{LINE}\n" * 63 + "\nn").path) == 63
    with pytest.raises(ProofError, match=r"is no c2sp\.org/tlog-proof@v1"):
        tlog_proof.parse(HEAD + f"{LINE}\n" * 64 + "\nn")
    longest = f"{HEAD}\n".ljust(MOST, "n")
    assert tlog_proof.parse(longest).path == ()
    with pytest.raises(ProofError, match="tlog-proof: is over 65536 bytes"):
        tlog_proof.parse(longest + "n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is no c2sp"), (f"{HEAD}{LINE}\n", "is no c2sp"), ("c2sp.org/tlog-proof@v1\n\nn", "is no c2sp"),
        (HEAD.replace("v1", "v2") + "\nn", "is no c2sp"), (HEAD.replace("7", "07") + "\nn", "is no c2sp"),
        (HEAD.replace("7", "1" * 19) + "\nn", "is no c2sp"), (f"{HEAD}extra x\n\nn", "not base64"),
        (f"{HEAD}AAAA\n\nn", "does not have 32 bytes"),
        (f"{HEAD}{LINE[:-2]}9=\n\nn", "not written as a proof is"),
        (f"{HEAD}{base64.b64encode(bytes(33)).decode()}\n\nn", "does not have 32 bytes"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused_with_the_reason(text: str, error: str) -> None:
    with pytest.raises(ProofError, match=error):
        tlog_proof.parse(text)
