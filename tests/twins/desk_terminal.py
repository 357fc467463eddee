"""Types `department` commands at a new home, as people who keep their authenticators."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest

from sync.department.cli import main
from sync.department.desk.log_state import LogState

NEW = "correct horse 463"


class Terminal:
    """Types commands, and keeps the passwords and authenticators of all people."""

    def __init__(
        self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.home, self._capsys, self._environment = home, capsys, monkeypatch
        self.secrets: dict[str, tuple[str, str]] = {}
        self.renewed: dict[str, str] = {}
        monkeypatch.setenv("DEPARTMENT_HOME", str(home))
        self._ahead_s = 0
        monkeypatch.setattr(LogState, "phone_times", lambda _state: (self._phone_s() * 1_000_000,))

    def _phone_s(self) -> int:
        """The time on all phones and at the desk: half a minute later for each code, which is valid once."""
        return int(time.time()) + self._ahead_s

    def _code(self, secret: str) -> str:
        self._ahead_s += 30
        return pyotp.TOTP(secret).at(self._phone_s())

    def signs(self, draft: str, key: str, *more: str) -> bool:
        """Let an office read a draft and sign it with the digest of what it read. Returns whether it did."""
        words = ["keys", "sign", draft, "--key", key, *more]
        shown = self.type(*words)[1].split()[-1]
        return self.type(*words, "--digest", shown)[0] == 0

    def type(self, *words: str) -> tuple[int, str, str]:
        status = main(list(words))
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def given(self, *words: str) -> dict[str, Any]:
        status, out, err = self.type("--json", *words)
        assert status == 0, err
        return json.loads(out)  # type: ignore[no-any-return]

    def resume(self, token: str) -> None:
        """Continue in a session."""
        self._environment.setenv("DEPARTMENT_TOKEN", token)

    def session(self, user: str) -> str:
        """Log in as a person. Returns the session's token."""
        password, secret = self.secrets[user]
        self._environment.setenv("DEPARTMENT_PASSWORD", password)
        self._environment.setenv("DEPARTMENT_CODE", self._code(secret))
        token = str(self.given("user", "login", user)["token"])
        self.resume(token)
        return token

    def keep(self, given: dict[str, str], password: str) -> None:
        self.secrets[given["user"]] = (password, pyotp.parse_uri(given["totp_uri"]).secret)

    def own_password(self, given: dict[str, str]) -> None:
        self.keep(given, given["password"])
        self.session(given["user"])
        self._environment.setenv("DEPARTMENT_NEW_PASSWORD", NEW)
        self._environment.setattr("getpass.getpass", self.type_new_code)
        self.given("user", "password")
        self.keep(self.renewed, NEW)

    def type_new_code(self, _prompt: str) -> str:
        """Type a code of the authenticator that was shown last."""
        self.renewed = json.loads(self._capsys.readouterr().out)
        return self.new_code()

    def new_code(self) -> str:
        return self._code(pyotp.parse_uri(self.renewed["totp_uri"]).secret)


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal at a home that was just made."""
    terminal = Terminal(tmp_path / "home", capsys, monkeypatch)
    assert terminal.type("init", "--host", "localhost", "--name", "Arcadia PD")[0] == 0
    return terminal
