"""The witness: add-checkpoint of C2SP tlog-witness, answer by answer, over its HTTP interface."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_server import serving
from hypothesis import example, given, settings
from hypothesis import strategies as st
from waiting import PATIENCE_S

from storage import merkle
from storage.checkpoint import Checkpoint, NoteKey, sign_checkpoint
from storage.cosigners import cosigned_by
from storage.errors import CheckpointError, ForkedLogError
from storage.times import DAY_US, now_us
from sync.department.journal.witness import MAX_REQUEST_BYTES, SIZE_TYPE, parse_request, request_body
from sync.department.journal.witness_link import HttpWitness, SizeConflictError
from sync.department.journal.witness_server import WitnessFolder, witness_app
from sync.department.units.authority import Authority
from sync.errors import HomeError, LinkError
from tests.tools.ports import free_port

LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(40)]
ORIGIN = "alpr-department/access-log/test"


def subtree(level: int, at: int) -> bytes:
    return merkle.root_of(LEAVES[at << level : (at + 1) << level])


class Log:
    """A log to submit."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    @property
    def note_key(self) -> NoteKey:
        return NoteKey(ORIGIN, self.key.public_key())

    def note(self, size: int, root: bytes | None = None, key: Ed25519PrivateKey | None = None) -> str:
        head = Checkpoint(ORIGIN, size, root or merkle.root_at(size, subtree))
        return sign_checkpoint(head, key or self.key)

    def body(self, old: int, size: int) -> str:
        proof = merkle.consistency_proof(old, size, subtree) if old else []
        return request_body(old, proof, self.note(size))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def folder(tmp_path: Path, log: Log) -> Iterator[WitnessFolder]:
    made = WitnessFolder.create(tmp_path / "witness", "witness.example/w1")
    made.add_log(log.note_key)
    yield made
    made.close()


@pytest.fixture
def client(folder: WitnessFolder) -> Iterator[httpx.Client]:
    with serving(witness_app(folder)) as client:
        yield client


def test_a_log_that_grows_is_cosigned_step_by_step(
    client: httpx.Client, log: Log, folder: WitnessFolder
) -> None:
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 40)):
        answer = client.post("/add-checkpoint", content=log.body(old, size))
        assert answer.status_code == 200
        assert len(cosigned_by(log.note(size) + answer.text, folder.keys)) == 2  # Ed25519 and ML-DSA-44
    newest = client.get(f"/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
    assert newest.text.startswith(f"{ORIGIN}\n40\n")
    for name in ("nobody", ORIGIN, hashlib.sha256(b"elsewhere").hexdigest()):
        assert client.get(f"/{name}/checkpoint").status_code == 404


def test_each_refusal_has_its_status(client: httpx.Client, log: Log) -> None:
    assert client.post("/add-checkpoint", content=log.body(0, 8)).status_code == 200
    other = Log()
    proof = merkle.consistency_proof(8, 20, subtree)
    stale = client.post("/add-checkpoint", content=log.body(3, 20))
    assert (stale.status_code, stale.text) == (409, "8\n")
    assert stale.headers["content-type"].startswith(SIZE_TYPE)
    for body, status in (
        (request_body(8, [], log.note(8, bytes(32))), 422),
        (request_body(8, [bytes(32)], log.note(8)), 422),
        (request_body(8, proof, log.note(20, bytes(32))), 422),
        (request_body(8, proof[:-1], log.note(20)), 422),
        (request_body(8, proof, log.note(20, key=other.key)), 403),
        (request_body(8, [], log.note(7)), 400),
        (request_body(8, proof, log.note(20)).replace("alpr-department", "elsewhere"), 404),
        ("old x\n\n" + log.note(9), 400),
        ("old 08\n\n" + log.note(9), 400),
        ("", 400),
        (request_body(8, [bytes(32)] * 64, log.note(20)), 400),
        ("x" * (MAX_REQUEST_BYTES + 1), 413),
    ):
        assert client.post("/add-checkpoint", content=body).status_code == status, body[:40]
    assert client.post("/add-checkpoint", content=log.body(8, 20)).status_code == 200


def test_root_leaves_nothing_of_a_witness_in_another_user_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, known = tmp_path / "w", Path.stat
    folder.mkdir()

    def owned(path: Path, **words: bool) -> os.stat_result:
        if path != folder:
            return known(path, **words)
        return os.stat_result((0o40700, 0, 0, 1, 1234, 0, 0, 0, 0, 0))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", owned)
        patched.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(HomeError, match="belongs to #1234"):
            WitnessFolder.create(folder, "witness.example/w1")
    assert not [*folder.iterdir()]


def test_what_was_cosigned_survives_a_restart_and_is_never_rolled_back(tmp_path: Path, log: Log) -> None:
    first = WitnessFolder.create(tmp_path / "w", "witness.example/w1")
    first.add_log(log.note_key)
    assert first.add_checkpoint(log.body(0, 20).encode(), time_s=1).status == 200
    first.close()
    again = WitnessFolder(tmp_path / "w")
    assert again.add_checkpoint(log.body(0, 8).encode(), time_s=2).status == 409
    with pytest.raises(HomeError):
        again.add_log(NoteKey(ORIGIN, Ed25519PrivateKey.generate().public_key()))
    again.close()
    (tmp_path / "w" / "witness.sqlite").unlink()
    with pytest.raises(HomeError, match="retired"):
        WitnessFolder(tmp_path / "w")


def test_the_link_distinguishes_a_fork_from_a_witness_that_is_away(client: httpx.Client, log: Log) -> None:
    link = HttpWitness(str(client.base_url), client)
    assert link.cosign(0, [], log.note(8)).startswith("— witness.example/w1 ")
    with pytest.raises(SizeConflictError) as conflict:
        link.cosign(0, [], log.note(9))
    assert conflict.value.size == 8
    with pytest.raises(ForkedLogError):
        link.cosign(8, [], log.note(20, bytes(32)))
    assert link.newest(ORIGIN).startswith(ORIGIN)
    with pytest.raises(LinkError):
        link.newest("unknown")
    with pytest.raises(LinkError):
        HttpWitness("http://127.0.0.1:9", httpx.Client(timeout=1)).cosign(0, [], log.note(8))


@contextmanager
def answering(chain: tuple[Path, Path] | None) -> Iterator[int]:
    """The port of a listener that accepts one connection, with this certificate or without answering."""
    listener = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                if chain is None:
                    connection.recv(1 << 16)
                    released.wait(PATIENCE_S)
                    return
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*chain)
                context.wrap_socket(connection, server_side=True).close()

    released, thread = threading.Event(), threading.Thread(target=take)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        released.set()
        listener.close()
        thread.join(PATIENCE_S)


def test_a_witness_that_cannot_be_asked_is_reported_with_what_to_do(tmp_path: Path) -> None:
    def said(url: str, transport: httpx.BaseTransport | None = None, seconds: float = PATIENCE_S) -> str:
        with httpx.Client(timeout=seconds, trust_env=False, transport=transport) as client:
            with pytest.raises(LinkError) as refused:
                HttpWitness(url, client).cosign(0, [], "note")
            return f"{refused.value.what}: {refused.value.cure}"

    chain = Authority.create(tmp_path / "authority", "Other office").server_files(("127.0.0.1",))
    with answering(chain) as port:
        assert "its certificate is not trusted: start the department's server with SSL_CERT_FILE" in said(
            f"https://127.0.0.1:{port}"
        )
    trusted = ssl.create_default_context(cafile=chain[0].parent / "ca.pem")
    with answering(chain) as port:
        assert "its certificate is for another name: check" in said(
            f"https://localhost:{port}", httpx.HTTPTransport(verify=trusted)
        )
    for at_us, wrong in (
        (now_us() - 3000 * DAY_US, "has expired"),
        (now_us() + 40 * DAY_US, "is not valid yet"),
    ):
        other = Authority.create(tmp_path / wrong, "Other office", partial(int, at_us))
        other_chain = other.server_files(("127.0.0.1",))
        trusted = ssl.create_default_context(cafile=other_chain[0].parent / "ca.pem")
        with answering(other_chain) as port:
            assert f"its certificate {wrong}, by this server's clock: " in said(
                f"https://127.0.0.1:{port}", httpx.HTTPTransport(verify=trusted)
            )
    with answering(None) as port:
        assert "it did not answer within" in said(f"http://127.0.0.1:{port}", seconds=1)
    assert "it refused the connection: nothing listens there" in said(f"http://127.0.0.1:{free_port()}")
    assert "its name is not known: check the witness's address" in said("http://witness.invalid")
    for status in (404, 500):
        answers = httpx.MockTransport(
            lambda _request, status=status: httpx.Response(status, content=iter([b""]))
        )
        assert f"it answered {status}: check the witness's address" in said("https://w.example", answers)


@pytest.mark.one_python
@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
@example(request_body(8, [bytes(32)], "a note\n").encode())
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        old, proof, note = parse_request(body)
    except CheckpointError:
        return
    assert request_body(old, proof, note).encode() == body


def test_a_witness_from_before_ml_dsa_continues_with_its_one_key(tmp_path: Path, log: Log) -> None:
    first = WitnessFolder.create(tmp_path / "w", "witness.example/w1")
    keys = first.keys
    first.close()
    (tmp_path / "w" / "witness-ml-dsa-44.pem").unlink()
    again = WitnessFolder(tmp_path / "w")
    again.add_log(log.note_key)
    assert again.keys == keys[:1]
    answer = again.add_checkpoint(log.body(0, 8).encode(), time_s=1)
    assert len(cosigned_by(log.note(8) + answer.body, keys)) == 1
    again.close()


def test_the_files_of_a_witness_are_its_own(tmp_path: Path) -> None:
    WitnessFolder.create(tmp_path / "w", "witness.example/w1").close()
    for one in (tmp_path / "w").iterdir():
        assert one.stat().st_mode & 0o077 == 0, one.name


def test_an_empty_tree_has_one_root(tmp_path: Path, log: Log) -> None:
    folder = WitnessFolder.create(tmp_path / "w", "witness.example/w1")
    folder.add_log(log.note_key)
    assert folder.add_checkpoint(request_body(0, [], log.note(0, bytes(32))).encode(), time_s=1).status == 422
    assert (
        folder.add_checkpoint(request_body(0, [], log.note(0, merkle.EMPTY_ROOT)).encode(), time_s=1).status
        == 200
    )
    folder.close()


@pytest.mark.parametrize("answer", [b"\xff\xfe", b"x" * 70_000])
def test_an_answer_that_is_not_a_note_is_an_absence(answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=iter([answer])))
    with pytest.raises(LinkError):
        HttpWitness("https://w.example", httpx.Client(transport=transport)).newest(ORIGIN)
