"""The auditor's bundle: figures without plates that anyone can recount offline; alterations are found."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_forms import forms
from desk_twins import GROUND, Department
from packages import unpacked

from storage import codec, envelope
from storage.cosigners import CosignerKey, Witnesses
from storage.errors import PackageError, StorageError
from storage.times import HOUR_US
from sync.department.cli import main
from sync.department.desk.audit.number_calls import Bundled, Numbers, NumbersForm
from sync.department.desk.inquiry.forms import NothingForm, RunForm
from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.desk.transparency import bundle
from sync.department.ground.home import load_ed25519
from sync.department.policy.refusals import DeskRefusal
from sync.department.server import daily

pytestmark = pytest.mark.slow

Tokens = Callable[[str], str]
Files = dict[str, bytes]


def busy(department: Department, tokens: Tokens) -> None:
    """A department with some of everything that is counted."""
    for number in range(3):
        ground = replace(GROUND, number=f"26-00{number}234")
        department.call(
            "inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=ground)
        )
    with pytest.raises(DeskRefusal):
        department.call("audit/run", tokens("officer1"), forms(department)["audit/run"])
    department.call("share/record", tokens("super"), forms(department)["share/record"])
    department.two_hands("hotlist/push", tokens("super"), forms(department)["hotlist/push"], second="chief")
    ask(
        department.front,
        "",
        RedressForm(about="stop", contact="j.doe@example.org", words="stopped on Myrtle Avenue"),
    )
    daily.count_days(department.front)


def made(department: Department, tokens: Tokens) -> bytes:
    answer = department.call("audit/bundle", tokens("reviewer1"), NothingForm())
    assert isinstance(answer, Bundled)
    return answer.bundle


def witnesses(department: Department) -> Witnesses:
    found = department.desk.root.witnessing()
    assert found is not None
    return found


def signed_anew(department: Department, files: Files) -> bytes:
    """The same files under a newly signed head, as a dishonest department would give them out."""
    return under_a_head(files, load_ed25519(department.home.path / "log.key"))


def under_a_head(files: Files, key: Ed25519PrivateKey) -> bytes:
    head = bundle.BundleHead(
        format=bundle.FORMAT,
        department="Monrovia PD",
        entries=0,
        files=tuple((name, hashlib.sha256(files[name]).digest()) for name in bundle.FILES),
    )
    files = {**files, bundle.HEAD: envelope.sign(codec.to_bytes(head), key, context=bundle.BUNDLE_CONTEXT)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_an_auditor_counts_the_same_offline(department: Department, tokens: Tokens) -> None:
    busy(department, tokens)
    data = made(department, tokens)
    report = bundle.check(data, department.desk.log.public, witnesses(department))
    assert report.problems == ()
    assert report.entries == report.witnessed > 50
    assert report.opened >= 5
    counts = json.loads(unpacked(data)["counts.json"])
    assert counts["inquiries_by_purpose"] == [{"name": "investigation", "count": 3}]
    assert counts["reads_received"] == 33
    assert counts["redress"] == {"asked": 1, "answered": 0}


def test_no_plate_no_case_no_words_and_no_person_is_inside(department: Department, tokens: Tokens) -> None:
    busy(department, tokens)
    for name, content in unpacked(made(department, tokens)).items():
        for word in (
            b"8XYZ123",
            b"26-000234",
            b"Myrtle",
            b"j.doe",
            b"comm1",
            b"Ruiz",
            b"please",
            b"officer1",
        ):
            assert word not in content, (name, word)


def drop_leaf(files: Files) -> None:
    parts = list(bundle._unframed(files["leaves.bin"], ""))
    files["leaves.bin"] = bundle._framed(parts[:-1])


def swap_leaves(files: Files) -> None:
    parts = list(bundle._unframed(files["leaves.bin"], ""))
    files["leaves.bin"] = bundle._framed([*parts[:-2], parts[-1], parts[-2]])


def facts(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Files], None]:
    def work(files: Files) -> None:
        rows = json.loads(files["facts.json"])
        change(rows)
        files["facts.json"] = json.dumps(rows).encode()

    return work


def counts(name: str, value: object) -> Callable[[Files], None]:
    def work(files: Files) -> None:
        files["counts.json"] = json.dumps({**json.loads(files["counts.json"]), name: value}).encode()

    return work


def drop_opening(files: Files) -> None:
    parts = list(bundle._unframed(files["openings.bin"], ""))
    files["openings.bin"] = bundle._framed(parts[:-1])


def alter_opening(files: Files) -> None:
    parts = list(bundle._unframed(files["openings.bin"], ""))
    one = codec.from_bytes(bundle.BundleOpening, parts[-1])
    changed = replace(one, content=one.content.replace(b"\x0b", b"\x0a"))
    assert changed != one
    files["openings.bin"] = bundle._framed([*parts[:-1], codec.to_bytes(changed)])


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        pytest.param(drop_leaf, "checkpoint: covers", id="the newest entry left out"),
        pytest.param(swap_leaves, "another log or place", id="two entries swapped"),
        pytest.param(facts(lambda rows: rows.pop()), "is not in the bundle", id="a counted entry not told"),
        pytest.param(facts(lambda rows: rows.append(rows[0])), "is listed 2 times", id="an entry told twice"),
        pytest.param(
            facts(lambda rows: rows[0].update(kind="hold")),
            "a kind that its leaf does not have",
            id="another kind",
        ),
        pytest.param(
            facts(lambda rows: rows.append({"entry": 0, "kind": "log_opened", "words": [], "numbers": []})),
            "must be opened",
            id="claimed where it is opened",
        ),
        pytest.param(
            facts(lambda rows: next(one for one in rows if one["kind"] == "share_asked").update(words=[])),
            "does not add up",
            id="an empty fact",
        ),
        pytest.param(counts("refusals", 0), "counts.json: refusals", id="refusals left out of the counts"),
        pytest.param(counts("reads_received", 7), "counts.json: reads_received", id="fewer reads"),
        pytest.param(counts("quorum", 0), "counts.json: quorum", id="another quorum"),
        pytest.param(drop_opening, "is not in the bundle", id="a day's count left out"),
        pytest.param(alter_opening, "not what its leaf commits to", id="a day's count altered"),
    ],
)
def test_a_department_with_false_figures_is_found(
    department: Department, tokens: Tokens, lie: Callable[[Files], None], found: str
) -> None:
    busy(department, tokens)
    files = unpacked(made(department, tokens))
    lie(files)
    data = signed_anew(department, files)
    try:
        said = " ".join(bundle.check(data, department.desk.log.public, witnesses(department)).problems)
    except StorageError as error:
        said = str(error)
    assert re.search(found, said), said


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("checkpoint", b"\xff\xfe", "checkpoint: is malformed"),
        ("counts.json", b"null", "counts.json: is not one of the public counts"),
        ("facts.json", b"null", "facts.json: is not a list of facts"),
        ("leaves.bin", bytes(2), "leaves.bin: is cut off"),
    ],
)
def test_a_signed_part_that_cannot_be_read_ends_in_a_verdict(name: str, content: bytes, found: str) -> None:
    key, witness = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    files = dict.fromkeys(bundle.FILES, b"") | {"facts.json": b"[]", name: content}
    asked = Witnesses(((CosignerKey.of("witness.example/w", witness),),), 1)
    with pytest.raises(PackageError, match=found):
        bundle.check(under_a_head(files, key), key.public_key(), asked)


def test_a_stranger_who_alters_it_is_found(department: Department, tokens: Tokens) -> None:
    files = unpacked(made(department, tokens))
    counts("refusals", 99)(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(PackageError, match="altered"):
        bundle.check(out.getvalue(), department.desk.log.public, witnesses(department))


def test_it_needs_the_right_log_and_the_witnesses_quorum(department: Department, tokens: Tokens) -> None:
    data = made(department, tokens)
    with pytest.raises(StorageError):
        bundle.check(data, Ed25519PrivateKey.generate().public_key(), witnesses(department))
    lacking = replace(witnesses(department), quorum=2)
    report = bundle.check(data, department.desk.log.public, lacking)
    assert any("is not co-signed by 2" in one for one in report.problems)
    assert report.witnessed == 0


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(40)])
def test_a_file_that_is_not_a_bundle_is_refused_as_such(department: Department, data: bytes) -> None:
    assert not bundle.is_bundle(data)
    with pytest.raises(PackageError, match="is not a ZIP"):
        bundle.check(data, department.desk.log.public, witnesses(department))


def test_the_command_checks_it_with_two_keys_and_no_home(
    department: Department,
    tokens: Tokens,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    busy(department, tokens)
    (tmp_path / "audit.zip").write_bytes(made(department, tokens))
    ours = [str(one.text()) for one in witnesses(department).keys[0]]
    words = ["verify", str(tmp_path / "audit.zip"), "--key", department.desk.log.note_key.text()]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DEPARTMENT_HOME", str(tmp_path / "none"))
    assert main([*words, "--witness-key", ",".join(ours)]) == 0
    assert "the counts match the log" in capsys.readouterr().out
    files = {name: tmp_path / name for name in ("log.pub", "witness.pub")}
    files["log.pub"].write_text(f"{words[-1]}\n")
    files["witness.pub"].write_text(f"{','.join(ours)}\n")
    assert main([*words[:-1], str(files["log.pub"]), "--witness-key", str(files["witness.pub"])]) == 0
    assert "the counts match the log" in capsys.readouterr().out
    assert main([*words[:-1], "log.pbu"]) == 2
    assert "--key: 'log.pbu' is neither a file nor a public key" in capsys.readouterr().err
    assert main([*words[:-1], "log+2026.pub"]) == 2
    assert "--key: 'log+2026.pub' is neither a file nor a public key" in capsys.readouterr().err
    assert main(words) == 2
    assert "--witness-key" in capsys.readouterr().err


def test_the_numbers_are_by_purpose_person_action_and_day(department: Department, tokens: Tokens) -> None:
    department.clock.step(11 * HOUR_US)  # evening in California: the next day has begun in UTC
    busy(department, tokens)
    found = department.call("audit/numbers", tokens("reviewer1"), NumbersForm())
    assert isinstance(found, Numbers)
    assert [(one.name, one.count) for one in found.by_person] == [("comm1", 3)]
    assert [(one.name, one.count) for one in found.by_purpose] == [("investigation", 3)]
    assert sum(one.count for one in found.by_day) == found.accesses == found.not_filed == 3
    assert [one.name for one in found.by_day] == ["2026-09-21"]
    none = department.call("audit/numbers", tokens("reviewer1"), NumbersForm(action="export"))
    assert isinstance(none, Numbers)
    assert (none.accesses, none.by_person) == (0, ())
