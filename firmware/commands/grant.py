"""`reader grant`: on the holder's laptop, answers a console's challenge with the holder's SSH key."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm

from firmware.commands.person import FILE
from firmware.console.armor import to_lines
from firmware.console.challenge import NAMESPACE, Challenge, ChallengeAnswer
from firmware.custody.ssh_key import open_key, read_key
from firmware.errors import MissingPartError, UsageError
from storage import files
from storage.codec import from_bytes
from storage.envelope import split
from storage.grant_format import MAX_BYTES, Bundle, Grant
from storage.ssh_signature import SshSignatureError, from_armor, sign, verify
from storage.times import utc_text
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb("grant", example="reader grant --grant wo-118.grant --key ~/.ssh/id_ed25519 UNIT:LETTERS:CHECK")
@click.option("--grant", "file", required=True, type=FILE, metavar="FILE", help="The grant you were sent.")
@click.option("--key", type=FILE, metavar="FILE", help="Your SSH key, or its .pub with an agent.")
@click.argument("challenge", required=False)
def grant(_common: Common, *, file: Path, key: Path | None, challenge: str | None) -> int:
    """Answer a console's challenge with your SSH key, on your own laptop.

    Signs CHALLENGE, the line that the console shows, with your SSH key (Ed25519 or ECDSA) and prints the
    lines to paste into the console. With a .pub file as --key, ssh-keygen asks your agent for the signature.
    Without CHALLENGE it shows what the grant allows.
    """
    bundle = Bundle.parse(_read(file))
    if challenge is None:
        _show(bundle)
        return DONE
    if key is None:
        raise UsageError("--key FILE is needed to answer a challenge")
    signature = _of_holder(bundle, Challenge.parse(challenge).message(bundle), key.expanduser())
    print("paste these lines into the console:", file=sys.stderr)
    for line in to_lines(ChallengeAnswer(bundle=bundle.to_bytes(), signature=signature).to_bytes()):
        print(line)
    return DONE


def _read(path: Path) -> bytes:
    try:
        with files.open_evidence(path, follow=True) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--grant {path}: {error.strerror}") from None


def _show(bundle: Bundle) -> None:
    grant = _grant_of(bundle)
    for name, value in (
        ("person", f"{grant.person} ({grant.role}, {grant.organisation})"),
        ("key", grant.holder.fingerprint),
        ("purpose", f"{grant.purpose}; {grant.work_order}"),
        ("units", " ".join(grant.units)),
        ("commands", " ".join(grant.commands)),
        ("from", _moment(grant.from_us)),
        ("to", _moment(grant.to_us)),
        ("grant", grant.grant_id),
    ):
        print(f"{name:<10} {value}")


def _grant_of(bundle: Bundle) -> Grant:
    """The grant's content; the console checks who signed it."""
    return from_bytes(Grant, split(bundle.grant, limit=MAX_BYTES)[1], limit=MAX_BYTES)


def _of_holder(bundle: Bundle, message: bytes, key: Path) -> bytes:
    """Sign with the grant's own key; refuses any other, since a few failed logins lock the unit."""
    signature, holder = _signature(message, key), _grant_of(bundle).holder
    try:
        verify(signature, message, holder, namespace=NAMESPACE)
    except SshSignatureError as error:
        raise UsageError(
            f"--key {key}: {error}; this grant is for the key {holder.fingerprint} "
            f"(ssh-keygen -lf {key} shows yours)"
        ) from None
    return signature


def _moment(us: int) -> str:
    return utc_text(us, to="minute")


def _signature(message: bytes, path: Path) -> bytes:
    data = read_key("--key", path)
    if not data.startswith(b"-----BEGIN"):
        return _by_agent(message, path)
    try:
        return sign(message, open_key("--key", path, data), namespace=NAMESPACE)
    except UnsupportedAlgorithm:
        return _by_agent(message, path)


def _by_agent(message: bytes, path: Path) -> bytes:
    """Let ssh-keygen sign; it asks the agent or prompts for the passphrase."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingPartError("ssh-keygen not found: install OpenSSH, or give a private key file")
    with tempfile.TemporaryDirectory(prefix="answer-") as folder:
        file = Path(folder) / "challenge"
        file.write_bytes(message)
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            [program, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(path), str(file)], check=False
        )
        result = file.with_suffix(".sig")
        if done.returncode or not result.exists():
            raise UsageError(f"--key {path}: ssh-keygen gave no signature; is the key in your agent?")
        return from_armor(result.read_text(encoding="ascii"))
