"""An update that no unit would accept is refused at the desk, before anyone signs it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from desk_twins import Department
from hypothesis import given
from hypothesis import strategies as st
from update_twin import SIGNER, BundleSigner, rauc_bundle, release_trust, update_file

from storage.errors import UpdateFileError
from sync.department.desk.documents import cms, updates
from sync.department.desk.documents.calls import Signed, SignForm
from sync.department.desk.documents.cms import check_signed, parse_signed
from sync.department.desk.documents.rauc import verity_tree
from sync.department.desk.documents.updates import KEYRING_FILE, KEYS_FILE, UpdateTrust, check_update
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import Refused
from sync.department.policy.refusals import FormError

FORM = SignForm(kind="update", name="0.7.0", body=update_file(), reason="the spring release")
KEYS = UpdateTrust(keys=release_trust().text())
NONE = UpdateTrust()
RING = UpdateTrust(keyring=SIGNER.keyring)
CMS = SIGNER.signed(b"words")
Tokens = Callable[[str], str]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"garbage", id="no tar"),
        pytest.param(b"garbage" * 1000, id="long garbage"),
        pytest.param(update_file()[:-12_000], id="cut off"),
        pytest.param(update_file().replace(b"a system", b"a systen"), id="another bundle"),
        pytest.param(update_file().replace(b"version 7", b"version 9"), id="a version not in the log"),
    ],
)
@pytest.mark.parametrize("trust", [NONE, KEYS], ids=["without keys", "with keys"])
def test_what_units_would_refuse_is_refused_by_its_field_and_with_a_cure(
    body: bytes, trust: UpdateTrust
) -> None:
    with pytest.raises(FormError, match="units would refuse this update") as refused:
        check_update(body, trust)
    assert (refused.value.fields, refused.value.cure) == (("body",), updates.CURE)


def test_only_the_release_keys_show_that_another_log_holds_a_release() -> None:
    foreign = KEYS.keys.replace("quorum 1", "quorum 0").replace("log releases", "log others")
    assert check_update(FORM.body, NONE).version == check_update(FORM.body, KEYS).version == 7
    with pytest.raises(FormError, match=KEYS_FILE):
        check_update(FORM.body, UpdateTrust(keys="log nothing"))
    with pytest.raises(FormError, match=f"{KEYS_FILE}|not in the release log"):
        check_update(FORM.body, UpdateTrust(keys=foreign))


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        pytest.param(b"a bundle", "not a RAUC bundle", id="no squashfs"),
        pytest.param(b"hsqs" + bytes(9000), "no signature at its end", id="no signature"),
        pytest.param(rauc_bundle()[:-1] + b"\0", "not a signature .CMS.", id="another size of it"),
        pytest.param(
            rauc_bundle()[:-600] + rauc_bundle()[-8:], "not a signature .CMS.|no signature", id="cut off"
        ),
        pytest.param(rauc_bundle(detached=True), "plain format", id="plain"),
        pytest.param(rauc_bundle(changes=(("verity\n", "crypt\n"),)), "'crypt' format", id="encrypted"),
        pytest.param(rauc_bundle(board="vm"), "for 'alpr-vm', and its release for alpr-rpi", id="board"),
        pytest.param(rauc_bundle(changes=(("image.boot", "image.data"),)), "a slot that no unit", id="slot"),
        pytest.param(rauc_bundle(changes=(("[bundle]", "bundle"),)), "cannot be read|dm-verity", id="no INI"),
        pytest.param(rauc_bundle(changes=(("compatible=", "COMPATIBLE="),)), "cannot be read", id="capitals"),
        pytest.param(rauc_bundle(changes=(("[bundle]", "[DEFAULT]"),)), "'plain' format", id="for all"),
        pytest.param(rauc_bundle(changes=(("version=7", "version=7\n 8"),)), "with a blank", id="continued"),
        pytest.param(rauc_bundle(changes=(("size=4096", "size=4_096"),)), "no dm-verity tree", id="digits"),
        pytest.param(
            rauc_bundle(changes=(("filename=boot.img\n", ""),)), "without a file name", id="no file"
        ),
        pytest.param(rauc_bundle(changes=(("size=4096", "size=4095"),)), "no dm-verity tree", id="tree"),
        pytest.param(rauc_bundle().replace(b"a system", b"a systen"), "signed for .dm-verity.", id="data"),
        pytest.param(rauc_bundle().replace(b"alpr-rpi", b"alpr-rpj"), "does not hold", id="manifest"),
    ],
)
def test_a_bundle_that_rauc_on_a_unit_would_refuse_is_refused(bundle: bytes, said: str) -> None:
    with pytest.raises(FormError, match=f"units would refuse this update: .*({said})") as refused:
        check_update(update_file(bundle), NONE)
    assert refused.value.cure == updates.CURE


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        pytest.param(rauc_bundle(signer=BundleSigner()), "keyring does not know", id="another signer"),
        pytest.param(rauc_bundle(signer=BundleSigner(age=timedelta(40))), "keyring does not know", id="late"),
    ],
)
def test_with_the_keyring_of_an_image_only_its_signer_counts(bundle: bytes, said: str) -> None:
    assert check_update(update_file(bundle), NONE).board == "rpi"
    assert check_update(FORM.body, RING).board == "rpi"
    with pytest.raises(FormError, match=said):
        check_update(update_file(bundle), RING)
    with pytest.raises(FormError, match=KEYRING_FILE):
        check_update(FORM.body, UpdateTrust(keyring=b"no certificate"))


def test_a_signer_of_the_keyring_signs_in_time_and_for_code() -> None:
    for signer, said in (
        (BundleSigner(use=ExtendedKeyUsageOID.SERVER_AUTH), "not for code signing"),
        (BundleSigner(age=timedelta(40)), "not in force then"),
    ):
        body = update_file(rauc_bundle(signer=signer))
        with pytest.raises(FormError, match=said):
            check_update(body, UpdateTrust(keyring=signer.keyring))


@given(st.binary(max_size=300))
def test_any_bytes_for_a_signature_are_refused_in_words(signature: bytes) -> None:
    held = rauc_bundle()[:8192]
    with pytest.raises(FormError, match="units would refuse"):
        check_update(update_file(held + signature + len(signature).to_bytes(8, "big")), RING)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.sampled_from(("change", "cut", "repeat")), st.integers(0, len(CMS) - 1), st.integers(1, 255))
def test_a_signature_with_any_byte_changed_is_taken_or_refused_in_words(how: str, at: int, by: int) -> None:
    """Not only in the outer DER, but in each part of the certificate."""
    made = {
        "change": CMS[:at] + bytes([CMS[at] ^ by]) + CMS[at + 1 :],
        "cut": CMS[:at],
        "repeat": CMS[:at] + CMS[max(0, at - by) :],
    }[how]
    with suppress(UpdateFileError):
        signed = parse_signed(made)
        check_signed(signed, signed.content or b"", (SIGNER.certificate,))


@pytest.mark.parametrize(
    "error", [UnsupportedAlgorithm("a curve"), ValueError("a name"), x509.InvalidVersion("9", 9)]
)
def test_a_certificate_that_cannot_be_read_is_malformed(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_args: object) -> None:
        raise error

    signed = parse_signed(CMS)
    monkeypatch.setattr(cms, "_is_of", fails)
    with pytest.raises(UpdateFileError, match="CMS"):
        check_signed(signed, b"words", ())


def test_a_configuration_is_signed_whatever_the_keyring_of_updates_is(
    department: Department, tokens: Tokens
) -> None:
    (department.home.path / KEYRING_FILE).mkdir()
    form = SignForm(kind="configuration", body=b"[camera]\nfps = 9\n", reason="new", propose=True)
    made = department.call("document/sign", tokens("super"), form)
    assert isinstance(made, Signed)
    assert made.proposal >= 0
    with pytest.raises(FormError, match=KEYRING_FILE):
        department.call("document/sign", tokens("super"), replace(FORM, propose=True))


def test_an_update_that_no_sync_delivers_is_refused_and_a_stick_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(updates, "MAX_UPDATE_BYTES", len(FORM.body) - 1)
    with pytest.raises(FormError, match="at most 0 MB") as refused:
        check_update(FORM.body, NONE)
    assert "stick" in refused.value.cure


def test_nothing_is_proposed_of_garbage_and_who_approves_is_shown_the_release(
    department: Department, tokens: Tokens
) -> None:
    log, token = department.desk.log, tokens("super")
    before = log.size()
    for named in (True, False):
        with pytest.raises(FormError, match="units would refuse"):
            department.call("document/sign", token, replace(FORM, body=b"garbage", propose=named))
    assert {type(one.note) for one in log.entries(before)} == {Refused}
    said: list[str] = []
    for trust in (NONE, KEYS):
        if trust.keys:
            (department.home.path / KEYS_FILE).write_text(trust.keys)
            (department.home.path / KEYRING_FILE).write_bytes(SIGNER.keyring)
        form = replace(FORM, reason=f"spring {len(said)}", propose=True)
        made = department.call("document/sign", token, form)
        assert isinstance(made, Signed)
        note = log.entry(made.proposal).note
        assert isinstance(note, ChangeProposed)
        said.append(note.summary)
    assert all("release 0.7.0 (version 7) for rpi boards" in one for one in said)
    assert f"no {KEYS_FILE} here" in said[0]
    assert f"no {KEYRING_FILE} here" in said[0]
    assert "is in the release log, its bundle is signed as units ask" in said[1]


@pytest.mark.parametrize("name", [KEYS_FILE, KEYRING_FILE])
def test_keys_of_an_image_that_cannot_be_read_are_named(tmp_path: Path, name: str) -> None:
    assert UpdateTrust.of(tmp_path) == NONE
    (tmp_path / name).mkdir()
    with pytest.raises(FormError, match=name) as refused:
        UpdateTrust.of(tmp_path)
    assert (refused.value.code, name in refused.value.cure) == ("release-keys", True)
    (tmp_path / name).rmdir()
    (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(FormError, match=name):
        check_update(FORM.body, UpdateTrust.of(tmp_path))


def test_the_tree_is_what_veritysetup_makes(tmp_path: Path) -> None:
    data, tree = tmp_path / "data", tmp_path / "tree"
    data.write_bytes(random.Random(1).randbytes(4096 * 300))
    salt = "ab" * 32
    command = ["veritysetup", "format", "--no-superblock", f"--salt={salt}", str(data), str(tree)]
    command[0] = shutil.which(command[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or ""
    if not command[0]:
        pytest.skip("veritysetup is not installed (Debian: apt install cryptsetup-bin)")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    root, made = verity_tree(memoryview(data.read_bytes()), bytes.fromhex(salt))
    assert root.hex() in said
    assert tree.read_bytes() == made
