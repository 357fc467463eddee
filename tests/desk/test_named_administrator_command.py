"""What two offices name by command reaches the units at once, and says what it lacks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from desk_terminal import Terminal

from sync.department.ground.home import DepartmentHome
from sync.department.server import roster
from sync.department.server.open_desk import open_desk
from sync.department.store.opening import open_store_of


def signed(terminal: Terminal, draft: str, *offices: str) -> None:
    """Sign a draft as these offices do: read it, then sign its digest."""
    for name in offices:
        words = ["keys", "sign", draft, "--key", str(terminal.home / "root-keys" / f"{name}.key")]
        digest = terminal.type(*words)[1].split()[-1]
        assert terminal.type(*words, "--digest", digest)[0] == 0


def revoked(terminal: Terminal) -> dict[str, bool]:
    """Who is on the roster that units are offered, and whether as revoked."""
    home = DepartmentHome.open(terminal.home)
    with closing(open_desk(home)) as desk, closing(open_store_of(home)) as store:
        assert roster.is_out(store, desk)
        return {one.user: one.revoked for one in roster.people_of(desk.book, desk.now_us())}


def test_units_are_offered_at_once_that_the_previous_administrator_is_gone(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.own_password(terminal.given("user", "first", "chief"))
    terminal.session("chief")
    terminal.given("user", "set", "super", "--name", "S. Lee", "--roles", "ccat-supervisor", "--why", "hired")
    assert revoked(terminal) == {"chief": False, "super": False}
    statement = str(tmp_path / "next.admin")
    assert terminal.type("keys", "administrator", "m.lopez", "--name", "M. Lopez", "--out", statement)[0] == 0
    signed(terminal, statement, "outside-office", "spare")
    assert terminal.given("keys", "appoint", statement)["user"] == "m.lopez"
    assert revoked(terminal) == {"chief": True, "m.lopez": False, "super": False}


def test_a_root_file_with_another_policy_asks_for_that_policy(terminal: Terminal, tmp_path: Path) -> None:
    terminal.given("user", "first", "chief")
    policy, draft = tmp_path / "policy.toml", str(tmp_path / "next.root")
    document = (terminal.home / "policy.toml").read_text()
    policy.write_text(document.replace("version = 1\n", "version = 2\n", 1))
    assert terminal.type("keys", "draft", "--out", draft, "--policy", str(policy))[0] == 0
    signed(terminal, draft, "outside-office", "spare")
    status, _, err = terminal.type("keys", "adopt", draft)
    assert (status, "give that file: --policy FILE" in err) == (2, True), err
    assert terminal.type("keys", "adopt", draft, "--policy", str(policy))[0] == 0
