"""TLS in the FIPS profile: real servers shake hands only with AES-GCM and P-256."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sync_twins import DepartmentProcess, Unit, bare_home, issue_code
from tls_client import offer
from waiting import PATIENCE_S, until

from sync import root_file
from sync.department.ground import tls
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.policy.named_files import root_in
from sync.department.policy.policy_file import policy_digest
from sync.department.server.founding import OFFICES
from sync.department.server.open_desk import adopt_root, first_administrator, open_desk
from sync.department.units.authority import Authority
from sync.errors import LackingError
from sync.root_file import RootWitness
from tests.tools.ports import free_port

CHACHA = "TLS_CHACHA20_POLY1305_SHA256"


def with_profile(home: DepartmentHome, profile: str) -> None:
    """Adopt a policy file with this profile, as two offices do."""
    first_administrator(home, "chief", "Chief")
    text = (home.path / "policy.toml").read_text().replace("version = 1\n", "version = 2\n", 1)
    document = text.replace('profile = "standard"', f'profile = "{profile}"').encode()
    root = replace(root_in(home), version=2, policy_version=2, policy_digest=policy_digest(document))
    keys = [load_ed25519(home.path / "root-keys" / f"{name}.key") for name in OFFICES[:2]]
    desk = open_desk(home)
    adopt_root(home, desk, root_file.assemble(root, [root_file.sign(root, key) for key in keys]), document)
    desk.close()


Offer = Callable[..., str]


@contextmanager
def department(folder: Path, profile: str) -> Iterator[tuple[Offer, DepartmentHome]]:
    """Run `department serve` under a profile. Yields (function that makes a TLS offer to it, its home)."""
    home = bare_home(folder / "home")
    with_profile(home, profile)
    server = DepartmentProcess(home)
    server.start()
    try:
        yield lambda **what: offer(folder, home.settings.desk_port, home.authority / "ca.pem", **what), home
    finally:
        server.stop()


def test_the_fips_server_refuses_chacha20_and_x25519(tmp_path: Path) -> None:
    with department(tmp_path, "fips") as (ask, home):
        assert ask() == "TLS_AES_256_GCM_SHA384 TLSv1.3"
        assert ask(suites="TLS_AES_128_GCM_SHA256") == "TLS_AES_128_GCM_SHA256 TLSv1.3"
        assert ask(suites=CHACHA).startswith("refused")
        assert ask(groups="X25519").startswith("refused")
        assert ask(groups="X25519:P-256") == "TLS_AES_256_GCM_SHA384 TLSv1.3"
        assert ask(tls12=True).startswith("refused")
        unit = Unit(tmp_path / "unit")
        unit.enroll(issue_code(home, "car-12"))
        unit.add(2)
        assert unit.attempt().outcome == "done"
        unit.close()


@pytest.mark.slow
def test_the_standard_server_takes_chacha20_so_the_refusal_is_the_profiles(tmp_path: Path) -> None:
    with department(tmp_path, "standard") as (ask, _home):
        assert ask(suites=CHACHA) == f"{CHACHA} TLSv1.3"
        assert ask(groups="X25519").startswith("refused")  # the same curve in both profiles


@contextmanager
def _process(words: list[str], port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "sync.department.cli", *words, "--port", str(port)]
    environment = {key: value for key, value in os.environ.items() if key != tls.OPENSSL_CONF}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        while "Ctrl-C stops" not in (line := process.stderr.readline()):
            assert line, process.wait(PATIENCE_S)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def _once_listening(ask: Callable[[], str]) -> str:
    """Wait for the first answer: the line about Ctrl-C comes just before the socket listens."""
    answers: list[str] = []

    def answered() -> bool:
        with suppress(subprocess.CalledProcessError):
            answers.append(ask())
        return bool(answers)

    until(answered)
    return answers[0]


@pytest.mark.thorough
@pytest.mark.slow
def test_a_fips_witness_and_key_service_refuse_them_too(tmp_path: Path) -> None:
    from sync.department.journal.witness_server import WitnessFolder

    home = bare_home(tmp_path / "home")
    certificate, key = Authority.open(home.authority).server_files(("localhost",))
    WitnessFolder.create(tmp_path / "witness", "w.example/1").close()
    witness = RootWitness(keys=(_witness_key(tmp_path / "witness"),), url="")
    root = replace(root_in(home), witnesses=(witness,), quorum=1)
    (tmp_path / "root.cbor").write_bytes(
        root_file.assemble(
            root,
            [root_file.sign(root, load_ed25519(home.path / "root-keys" / f"{name}.key")) for name in OFFICES],
        )
    )
    for words in (
        ["witness", "serve", "--folder", str(tmp_path / "witness"), "--fips",
         "--certificate", str(certificate), "--key", str(key)],
        ["keys", "serve", "--folder", str(tmp_path / "keys"), "--root", str(tmp_path / "root.cbor"), "--fips",
         "--certificate", str(certificate), "--tls-key", str(key)],
    ):  # fmt: skip
        port = free_port()
        with _process(words, port):

            def ask(port: int = port, **what: str) -> str:
                return offer(tmp_path, port, home.authority / "ca.pem", **what)  # type: ignore[arg-type]

            assert _once_listening(ask) == "TLS_AES_256_GCM_SHA384 TLSv1.3"
            assert ask(suites=CHACHA).startswith("refused")
            assert ask(groups="X25519").startswith("refused")


def _witness_key(folder: Path) -> str:
    from sync.department.journal.witness_server import WitnessFolder

    opened = WitnessFolder(folder)
    text = opened.keys[0].text()
    opened.close()
    return text


def test_a_process_that_would_take_chacha20_does_not_serve_or_connect_under_the_profile(
    tmp_path: Path,
) -> None:
    """Whatever the reason why the approved configuration is not in force, nothing opens."""
    home = bare_home(tmp_path / "home")
    certificate, key = Authority.open(home.authority).server_files(("localhost",))
    tls.tls_context(certificate, key)
    if not tls.suites_beyond(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        pytest.skip("this machine's own OpenSSL takes approved suites alone")
    server = partial(tls.tls_context, certificate, key, approved=True)
    openings: tuple[Callable[[], ssl.SSLContext], ...] = (server, _client)
    for opening in openings:
        with pytest.raises(LackingError, match=CHACHA) as refused:
            opening()
        assert refused.value.exit_status == 3


def _client() -> ssl.SSLContext:
    return tls.client_context(approved=True)


@pytest.mark.thorough
@pytest.mark.one_python
def test_a_configuration_that_a_person_chose_is_judged_and_not_overridden(tmp_path: Path) -> None:
    home = bare_home(tmp_path / "home")
    with_profile(home, "fips")
    own = tmp_path / "own.cnf"
    own.write_text(
        f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCiphersuites = {CHACHA}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "sync.department.cli", "serve", "--home", str(home.path)],
        env={**os.environ, tls.OPENSSL_CONF: str(own)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, CHACHA in done.stderr) == (3, True), done.stderr
    assert str(tls.APPROVED_FILE) in done.stderr
