"""An update is taken only if the release log proves it: attacks on the file, one per row."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from alpr_device.errors import UpdateRefusedError
from alpr_device.release import Running, copied_bundle, read_trust
from alpr_image.bundle import write_update
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.update_file import BUNDLE, PROOF, RELEASE, ReleaseTrust, SystemRelease
from tests.image.conftest import NOW_S, Project, project_in

RUNNING = Running(board="virt", version=4, floor=4)


def taken(update: Path, trust: ReleaseTrust, running: Running = RUNNING) -> tuple[SystemRelease, bytes]:
    target = io.BytesIO()
    with update.open("rb") as source:
        release = copied_bundle(source, target, trust, running)
    return release, target.getvalue()


def members(update: Path) -> dict[str, bytes]:
    with tarfile.open(update) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def test_logged_newer_release_is_taken_whole(project: Project) -> None:
    for version in (1, 2, 3, 4):
        project.update(version, bundle=b"older")
    release, bundle = taken(project.update(5), project.trust())
    assert (release.version, bundle) == (5, b"a bundle")


def test_a_release_is_in_the_log_once(project: Project) -> None:
    first = [project.log.append(project.release(1), time_s=NOW_S) for _ in range(2)]
    project.log.append(project.release(2), time_s=NOW_S)
    assert project.log.leaves() == [project.release(1).text(), project.release(2).text()]
    assert first[0] == first[1]


def test_release_text_is_read_as_it_is_written(project: Project) -> None:
    release = project.release(9)
    assert SystemRelease.parse(release.text()) == release


def test_trust_is_read_as_it_is_written(project: Project) -> None:
    assert ReleaseTrust.parse(project.trust().text()).text() == project.trust().text()


def rewritten(update: Path, **changes: bytes) -> Path:
    held = members(update)
    names = {"release": RELEASE, "proof": PROOF, "bundle": BUNDLE}
    for name, body in changes.items():
        held[names[name]] = body
    return write_update(held[RELEASE].decode(), held[PROOF].decode(), held[BUNDLE], update)


def _other_log(project: Project) -> Path:
    foreign = project_in(project.folder / "foreign")
    return foreign.update(5)


def _unwitnessed(project: Project) -> Path:
    update = project.update(5)
    proof = members(update)[PROOF].decode()
    return rewritten(update, proof="\n".join(proof.split("\n")[:-2]).encode() + b"\n")


def _proof_of_another(project: Project) -> Path:
    five, six = project.update(5), project.update(6, bundle=b"another bundle")
    return rewritten(six, proof=members(five)[PROOF])


def _raised_version(project: Project) -> Path:
    update = project.update(3)
    return rewritten(update, release=members(update)[RELEASE].replace(b"version 3", b"version 9"))


def _index_moved(project: Project) -> Path:
    project.update(5, bundle=b"first")
    update = project.update(6)
    return rewritten(update, proof=members(update)[PROOF].replace(b"index 1", b"index 0"))


def _root_moved(project: Project) -> Path:
    update = project.update(5)
    proof = members(update)[PROOF].decode().split("\n\n")
    lines = proof[1].split("\n")
    lines[2] = lines[2][::-1] if lines[2][::-1] != lines[2] else lines[2][1:] + "A"
    return rewritten(update, proof=(proof[0] + "\n\n" + "\n".join(lines) + "\n\n" + proof[2]).encode())


def _swapped(project: Project) -> Path:
    held = members(project.update(5))
    out = project.folder / "swapped.update"
    with tarfile.open(out, "w") as archive:
        for name in (PROOF, RELEASE, BUNDLE):
            one = tarfile.TarInfo(name)
            one.size = len(held[name])
            archive.addfile(one, io.BytesIO(held[name]))
    return out


def _link(project: Project) -> Path:
    held, out = members(project.update(5)), project.folder / "link.update"
    with tarfile.open(out, "w") as archive:
        for name in (RELEASE, PROOF):
            one = tarfile.TarInfo(name)
            one.size = len(held[name])
            archive.addfile(one, io.BytesIO(held[name]))
        link = tarfile.TarInfo(BUNDLE)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        archive.addfile(link)
    return out


def _swollen(kind: bytes, name: str) -> Callable[[Project], Path]:
    """A tar whose first header `tarfile` reads completely before any member: 1 TiB, none of it there."""

    def made(project: Project) -> Path:
        head = tarfile.TarInfo(name)
        head.type, head.size = kind, 1 << 40
        out = project.folder / "swollen.update"
        out.write_bytes(head.tobuf(tarfile.GNU_FORMAT) + project.update(5).read_bytes())
        return out

    return made


def _cut(project: Project, at: float) -> Path:
    update = project.update(5, bundle=b"x" * 5000)
    data = update.read_bytes()
    update.write_bytes(data[: int(len(data) * at)])
    return update


ATTACKS: list[tuple[str, Callable[[Project], Path], str]] = [
    ("never logged", lambda p: rewritten(p.update(5), proof=b"\n"), "not in the release log"),
    ("another project's log", _other_log, "not in the release log"),
    ("checkpoint without its witness", _unwitnessed, "0 witnesses"),
    ("proof of another release", _proof_of_another, "not in the release log"),
    ("version raised by hand", _raised_version, "not in the release log"),
    ("index of another leaf", _index_moved, "not in the release log"),
    ("root of another tree", _root_moved, "not in the release log"),
    ("one bit of the bundle", lambda p: rewritten(p.update(5), bundle=b"a bundlf"), "damaged"),
    ("longer bundle", lambda p: rewritten(p.update(5), bundle=b"a bundle "), "damaged"),
    ("the version that runs", lambda p: p.update(4), "not newer"),
    ("an older version", lambda p: p.update(3), "not newer"),
    ("another board", lambda p: p.update(5, board="rpi"), "is for rpi"),
    ("members in another order", _swapped, "expected"),
    ("a link for a bundle", _link, "expected"),
    ("a PAX header of 1 TiB", _swollen(tarfile.XHDTYPE, RELEASE), "release.txt expected"),
    ("a PAX header for all", _swollen(tarfile.XGLTYPE, RELEASE), "release.txt expected"),
    ("a long name of 1 TiB", _swollen(tarfile.GNUTYPE_LONGNAME, RELEASE), "release.txt expected"),
    ("a sparse member", _swollen(tarfile.GNUTYPE_SPARSE, RELEASE), "release.txt expected"),
    ("cut in the head", lambda p: _cut(p, 0.05), "not an update file"),
    ("cut in the bundle", lambda p: _cut(p, 0.5), "not an update file"),
    ("empty", lambda p: _cut(p, 0), "not an update file"),
]


@pytest.mark.parametrize(
    ("attack", "words"), [(one, words) for _, one, words in ATTACKS], ids=[a[0] for a in ATTACKS]
)
def test_altered_update_is_refused_with_its_reason(
    project: Project, attack: Callable[[Project], Path], words: str
) -> None:
    with pytest.raises(UpdateRefusedError, match=words):
        taken(attack(project), project.trust())


def test_version_under_the_floor_is_refused_though_an_older_one_runs(project: Project) -> None:
    after_fall_back = Running(board="virt", version=4, floor=7)
    with pytest.raises(UpdateRefusedError, match="not newer than 7"):
        taken(project.update(6), project.trust(), after_fall_back)


def test_no_update_is_written_over_the_way_back_of_one_on_trial(project: Project) -> None:
    trial, target = Running(board="virt", version=4, floor=3, on_trial=True), io.BytesIO()
    with project.update(5).open("rb") as source, pytest.raises(UpdateRefusedError, match="4 is committed"):
        copied_bundle(source, target, project.trust(), trial)
    assert target.getvalue() == b""


def test_nothing_of_the_bundle_is_written_before_the_proof_holds(project: Project) -> None:
    update, target = rewritten(project.update(5), proof=b"\n"), io.BytesIO()
    with update.open("rb") as source, pytest.raises(UpdateRefusedError):
        copied_bundle(source, target, project.trust(), RUNNING)
    assert target.getvalue() == b""


def test_no_more_of_a_bundle_is_written_than_its_release_names(project: Project) -> None:
    update, target = rewritten(project.update(5), bundle=bytes(1 << 20)), io.BytesIO()
    with update.open("rb") as source, pytest.raises(UpdateRefusedError, match="damaged"):
        copied_bundle(source, target, project.trust(), RUNNING)
    assert target.getvalue() == b""


def test_more_witnesses_than_named_can_never_be_asked_for(project: Project) -> None:
    with pytest.raises(UpdateRefusedError, match="more witnesses than they name"):
        read_trust(project.trust().text().replace("quorum 1", "quorum 2"))


@pytest.mark.one_python
@settings(max_examples=150, deadline=None)
@given(where=st.floats(0, 0.999), value=st.integers(1, 255))
def test_no_changed_byte_changes_what_is_installed(
    tmp_path_factory: pytest.TempPathFactory, where: float, value: int
) -> None:
    project = project_in(tmp_path_factory.mktemp("project"))
    update = project.update(5)
    data = bytearray(update.read_bytes())
    data[int(len(data) * where)] ^= value
    update.write_bytes(data)
    try:
        release, bundle = taken(update, project.trust())
    except UpdateRefusedError:
        return
    assert (release, hashlib.sha256(bundle).hexdigest()) == (project.release(5), release.bundle_digest)


def test_proofs_of_a_growing_log_all_hold(project: Project) -> None:
    releases = [project.release(version) for version in range(1, 12)]
    for release in releases:
        project.log.append(release, time_s=NOW_S)
    for index, release in enumerate(releases):
        update = write_update(
            release.text(), project.log.proof(index, time_s=NOW_S), b"a bundle", project.folder / "one.update"
        )
        assert taken(update, project.trust(), Running(board="virt", version=0, floor=0))[0] == release
