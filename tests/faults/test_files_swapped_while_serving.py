"""Files that the root file names change under a running server, which neither uses nor signs them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs
from sync_twins import bare_home

from storage import codec, envelope
from storage.policy import CustodyPolicy
from storage.times import DAY_US
from sync import root_file
from sync.department.cli import main
from sync.department.commands.serve import started
from sync.department.desk.context import DeskContext
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.policy.named_files import root_in
from sync.department.policy.policy_file import policy_digest
from sync.department.server.open_desk import adopt_root, first_administrator, open_front
from sync.department.server.server import Department, _renew_documents
from sync.department.store.tables import documents as table
from sync.department.units import documents
from sync.department.units.authority import Authority
from sync.errors import HomeError

Running = tuple[DepartmentHome, Department, DeskContext]


@pytest.fixture(name="home")
def home_with_desk(tmp_path: Path) -> DepartmentHome:
    home = bare_home(tmp_path / "home")
    first_administrator(home, "chief", "Chief Example")
    return home


@pytest.fixture
def running(home: DepartmentHome) -> Iterator[Running]:
    """A server that offers everything that follows from its home."""
    with started(home) as (department, front):
        assert front is not None
        _renew_documents(department)
        front.send_down()
        assert _named(front, home) == []
        yield home, department, front


def _named(front: DeskContext, home: DepartmentHome) -> list[str]:
    return [one.what for one in front.overdue_from_store(front.desk.now_us()) if str(home.path) in one.what]


def _offered(department: Department) -> tuple[int, CustodyPolicy]:
    with department.store.read() as connection:
        version, message = documents.out(connection, "policy")
    return version, codec.from_bytes(CustodyPolicy, envelope.split(message)[1])


def edited_policy(home: DepartmentHome) -> bytes:
    """The policy with a higher version, which no office signed."""
    path = home.path / "policy.toml"
    before = path.read_text()
    text = before.replace("version = 1\n", "version = 7\n", 1)
    assert text.count("version = 7") == 1
    path.write_text(text)
    return text.encode()


def own_root(home: DepartmentHome, **changes: object) -> None:
    """A root file that no office signed."""
    root = replace(root_in(home), **changes)  # type: ignore[arg-type]
    home.root_file.write_bytes(root_file.assemble(root, ()))


def test_an_edited_policy_file_is_not_signed_while_serving_and_units_keep_the_last_that_was(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    home, department, front = running
    good = _offered(department)
    edited_policy(home)
    with capture_logs() as events:
        _renew_documents(department)
        front.send_down()
    assert _offered(department) == good
    said = [one for one in events if one["event"] == "policy_not_signed"]
    assert len(said) == 2
    assert said[0]["where"] == str(home.path / "policy.toml")
    assert "restore" in said[0]["cure"]
    (line,) = _named(front, home)
    assert line.startswith(str(home.path / "policy.toml"))
    assert main(["verify", "--home", str(home.path)]) == 1
    assert "policy.toml: the policy file and the root file do not match" in capsys.readouterr().out


def test_an_edited_policy_is_not_signed_by_a_root_file_of_its_own(running: Running) -> None:
    home, department, front = running
    good = _offered(department)
    document = edited_policy(home)
    own_root(home, version=2, policy_version=7, policy_digest=policy_digest(document))
    _renew_documents(department)
    front.send_down()
    assert _offered(department) == good


def test_a_department_without_a_desk_signs_no_policy_that_its_root_file_does_not_name(tmp_path: Path) -> None:
    home = bare_home(tmp_path / "home")
    with started(home) as (department, _):
        _renew_documents(department)
        good = _offered(department)
        edited_policy(home)
        _renew_documents(department)
        assert _offered(department) == good


def test_what_else_goes_down_is_renewed_while_the_policy_file_is_not_the_signed_one(running: Running) -> None:
    home, department, _front = running
    with department.store.read() as connection:
        before = documents.version_out(connection, "day-keys")
    edited_policy(home)
    later = department.time() + 120 * DAY_US
    root = department.root()
    done = documents.refresh(home, department.store, department.keys, later, said=department.said, root=root)
    assert done == ["day-keys"]
    with department.store.read() as connection:
        assert documents.version_out(connection, "day-keys") > before


def test_a_policy_that_two_offices_signed_goes_out(running: Running) -> None:
    home, department, front = running
    document = edited_policy(home)
    root = replace(root_in(home), version=2, policy_version=7, policy_digest=policy_digest(document))
    keys = [load_ed25519(one) for one in sorted((home.path / "root-keys").glob("*.key"))[:2]]
    signed = root_file.assemble(root, [root_file.sign(root, key) for key in keys])
    with closing(open_front(home, replacing=True)) as other:  # as another process does it
        adopt_root(home, other.desk, signed, document)
    _renew_documents(department)
    assert _offered(department)[0] == 7
    assert _named(front, home) == []


def _sign_roster(front: DeskContext) -> None:
    front.send_down()


def _sign_document(front: DeskContext) -> None:
    front.sign_document("configuration", b"x", front.desk.now_us(), "")


def _revoke_grant(front: DeskContext) -> None:
    front.grants.revoke(["t.okafor"], front.desk.now_us())


@pytest.mark.parametrize("sign", [_sign_roster, _sign_document, _revoke_grant])
def test_another_command_key_signs_nothing_while_serving_and_compliance_names_it(
    running: Running, sign: Callable[[DeskContext], None], capsys: pytest.CaptureFixture[str]
) -> None:
    home, department, front = running
    with department.store.read() as connection:
        before = sorted(map(tuple, connection.execute(table.select()).all()))
    (home.path / "command.key").write_bytes(secrets.token_bytes(32))
    with pytest.raises(HomeError, match="the command key here is not the one that the root file names"):
        sign(front)
    with department.store.read() as connection:
        assert sorted(map(tuple, connection.execute(table.select()).all())) == before
    assert any("command.key: the command key here is not" in line for line in _named(front, home))
    assert main(["verify", "--home", str(home.path)]) == 1
    assert "command.key: the command key here is not" in capsys.readouterr().out


def test_no_code_names_a_root_file_that_the_log_did_not_adopt(running: Running) -> None:
    home, _department, front = running
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    own_root(home, others=(root_file.NamedKey(name="command", public=public),))
    with pytest.raises(HomeError, match="another version 1 than the one that the log adopted"):
        front.new_code()


def test_another_authority_is_named_by_compliance_while_serving(running: Running, tmp_path: Path) -> None:
    home, _department, front = running
    Authority.create(tmp_path / "other", "Other")
    for name in ("ca.pem", "ca.key"):
        (home.authority / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert any("the ca key here is not the one" in line for line in _named(front, home))


def test_no_authority_opens_with_the_certificate_of_another(home: DepartmentHome, tmp_path: Path) -> None:
    Authority.create(tmp_path / "other", "Other")
    (home.authority / "ca.pem").write_bytes((tmp_path / "other" / "ca.pem").read_bytes())
    with pytest.raises(HomeError, match="is not the certificate of the key beside it"):
        open_front(home)


def test_no_server_starts_with_a_policy_file_that_the_root_file_does_not_name(home: DepartmentHome) -> None:
    edited_policy(home)
    with pytest.raises(HomeError, match="do not match") as refusal, started(home):
        pass
    assert refusal.value.where == str(home.path / "policy.toml")
