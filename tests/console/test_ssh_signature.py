"""SSH signatures: ssh-keygen accepts ours, we accept its own, and neither accepts altered ones."""

import base64
import contextlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.ssh_signature import SshPublicKey, SshSignatureError, _mpint, from_armor, sign, verify

MESSAGE = b"alpr console login 1\nunit-7\n"
KEYS: dict[str, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
}
SIGNATURES = {kind: sign(MESSAGE, key, namespace="alpr-console") for kind, key in KEYS.items()}


def need_ssh_keygen() -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("ssh-keygen not installed")
    return program


@pytest.mark.parametrize(("kind", "bits"), [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384")])
def test_a_signature_by_ssh_keygen_holds(tmp_path: Path, kind: str, bits: str) -> None:
    program, key, message = need_ssh_keygen(), tmp_path / "key", tmp_path / "message"
    subprocess.run([program, "-q", "-t", kind, "-b", bits, "-N", "", "-f", key], check=True)
    message.write_bytes(MESSAGE)
    subprocess.run([program, "-q", "-Y", "sign", "-f", key, "-n", "alpr-console", message], check=True)
    public = SshPublicKey.from_line(key.with_suffix(".pub").read_text())
    signature = from_armor((tmp_path / "message.sig").read_text())
    verify(signature, MESSAGE, public, namespace="alpr-console")
    shown = subprocess.run([program, "-l", "-f", key], check=True, capture_output=True, text=True).stdout
    assert public.fingerprint in shown
    own = load_ssh_private_key(key.read_bytes(), None)
    assert isinstance(own, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey)
    assert SshPublicKey.of(own) == public


@pytest.mark.parametrize("kind", list(KEYS))
def test_our_signature_is_taken_by_ssh_keygen(tmp_path: Path, kind: str) -> None:
    program, key = need_ssh_keygen(), KEYS[kind]
    import base64

    body = base64.encodebytes(sign(MESSAGE, key, namespace="alpr-console")).decode()
    (tmp_path / "sig").write_text(f"-----BEGIN SSH SIGNATURE-----\n{body}-----END SSH SIGNATURE-----\n")
    (tmp_path / "allowed").write_text(f"t.okafor {SshPublicKey.of(key).line}\n")
    allowed, signature = str(tmp_path / "allowed"), str(tmp_path / "sig")
    told = ["-f", allowed, "-I", "t.okafor", "-n", "alpr-console", "-s", signature]
    subprocess.run([program, "-Y", "verify", *told], input=MESSAGE, check=True, capture_output=True)


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_signature_holds_for_its_message_key_and_use_alone(kind: str) -> None:
    key = KEYS[kind]
    public, signature = SshPublicKey.of(key), sign(MESSAGE, key, namespace="alpr-console")
    verify(signature, MESSAGE, public, namespace="alpr-console")
    other = SshPublicKey.of(ed25519.Ed25519PrivateKey.generate())
    for message, claimed, namespace in (
        (MESSAGE + b"x", public, "alpr-console"),
        (MESSAGE, other, "alpr-console"),
        (MESSAGE, public, "file"),
    ):
        with pytest.raises(SshSignatureError):
            verify(signature, message, claimed, namespace=namespace)


@pytest.mark.one_python
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(KEYS)), st.data())
def test_no_altered_signature_holds(kind: str, data: st.DataObject) -> None:
    key = KEYS[kind]
    public, good = SshPublicKey.of(key), SIGNATURES[kind]
    at = data.draw(st.integers(0, len(good) - 1))
    bit = data.draw(st.integers(0, 7))
    broken = bytearray(good)
    broken[at] ^= 1 << bit
    with pytest.raises(SshSignatureError):
        verify(bytes(broken), MESSAGE, public, namespace="alpr-console")


@pytest.mark.one_python
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_as_key_or_signature_raise_anything_else(data: bytes) -> None:
    public = SshPublicKey.of(KEYS["ed25519"])
    with pytest.raises(SshSignatureError):
        verify(b"SSHSIG\0\0\0\x01" + data, MESSAGE, public, namespace="alpr-console")
    with pytest.raises(SshSignatureError):
        SshPublicKey.from_blob(data + b"x" * 5)


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_key_comes_back_from_its_own_line(kind: str) -> None:
    key = SshPublicKey.of(KEYS[kind])
    assert SshPublicKey.from_line(key.line + " t.okafor@laptop") == key


@pytest.mark.parametrize("kind", list(KEYS))
@given(st.data())
def test_an_altered_key_is_refused_or_is_another_key_in_its_one_form(kind: str, data: st.DataObject) -> None:
    blob = bytearray(SshPublicKey.of(KEYS[kind]).blob)
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(SshSignatureError):
        other = SshPublicKey.from_blob(bytes(blob))
        assert SshPublicKey.from_line(other.line).blob == bytes(blob)


@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("change", [lambda blob: blob + b"x", lambda blob: blob[:-1], lambda blob: blob[5:]])
def test_a_key_that_is_cut_or_longer_is_refused(kind: str, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SshSignatureError):
        SshPublicKey.from_blob(change(SshPublicKey.of(KEYS[kind]).blob))


def test_a_key_on_another_curve_is_refused() -> None:
    with pytest.raises(SshSignatureError, match="secp521r1 is not supported"):
        SshPublicKey.of(ec.generate_private_key(ec.SECP521R1()))
    other = ec.generate_private_key(ec.SECP521R1()).public_key()
    line = other.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    with pytest.raises(SshSignatureError, match="this kind"):
        SshPublicKey.from_blob(base64.b64decode(line.split()[1]))


@pytest.mark.parametrize(
    "line", ["", "ssh-rsa AAAA", "ssh-ed25519 AAAA", "ssh-ed25519 " + "A" * 60, "-----BEGIN"]
)
def test_a_line_that_is_not_a_key_says_how_to_make_one(line: str) -> None:
    with pytest.raises(SshSignatureError):
        SshPublicKey.from_line(line)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----", "not an armored SSH signature"),
        ("-----BEGIN SSH SIGNATURE-----\nAAAA\n", "not an armored SSH signature"),
        ("AAAA\nAAAA\n-----END SSH SIGNATURE-----", "not an armored SSH signature"),
        ("-----BEGIN SSH SIGNATURE-----\nA\n-----END SSH SIGNATURE-----", "base64 is damaged"),
        ("\n-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----".ljust(8193), "not an armored"),
    ],
)
def test_what_is_not_armor_is_refused_with_the_reason(text: str, error: str) -> None:
    with pytest.raises(SshSignatureError, match=error):
        from_armor(text)


def test_an_armor_of_one_line_and_of_the_most_characters_is_read() -> None:
    shortest = "-----BEGIN SSH SIGNATURE-----\n AAAA \n-----END SSH SIGNATURE-----"
    assert from_armor(shortest) == from_armor(shortest.ljust(8192)) == bytes(3)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\0" * 68])
def test_a_number_of_a_signature_has_1_to_67_bytes_and_is_not_negative(data: bytes) -> None:
    with pytest.raises(SshSignatureError, match="a number of the signature is malformed"):
        _mpint(data)
    assert _mpint(b"\x7f" + bytes(66)) == 0x7F << 528
