"""The setup through the pages, scripts off: what is done, what is left, and the command of each step."""

from __future__ import annotations

import contextlib
import html
import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from desk_twins import PASSWORD, Department, StepClock, open_department, secret_of
from office_pages import form_of
from page_reader import Reader

from sync.department.cli import main
from sync.department.ground.department_time import Clocks
from sync.department.ground.settings import Settings
from sync.department.journal.witness_server import WitnessFolder
from sync.department.pages import governing
from sync.department.pages.shield import SESSION_COOKIE
from sync.department.pages.visit import Visit
from sync.department.server.founding import found
from sync.department.server.open_desk import first_administrator

Browser = Callable[[], Reader]


def test_the_set_up_shows_what_is_done_and_the_command_of_each_step(
    department: Department, reader: Browser
) -> None:
    one = reader()
    one.logon("chief")
    page = one.get("/setup")
    assert page.text.count("department ") >= 4
    assert page.html.count('class="tag ok"') == 5  # everything but root keys and the first hot list
    assert "5 of 7 steps are done" in page.text
    officer = reader()
    officer.logon("officer1")
    assert officer.get("/setup").status == 403
    department.witness.away = True
    one.get("/sharing")  # no witness signs this answer
    step = one.get("/setup").html.split('id="step-3"')[1].split("</li>")[0]
    assert "to do" in step
    for said in (step, one.get("/trust").text, one.get("/compliance").text):
        assert "0 of 1 witness answered, 1 is needed" in said


def test_the_first_step_of_the_set_up_is_the_administrators_own_password(tmp_path: Path) -> None:
    """On the first day there is only the first administrator."""
    clock = StepClock()
    settings = Settings(name="Arcadia Police Department", day_keys_ahead=2)
    home = found(tmp_path / "home", settings, clocks=Clocks.simulated(clock)).home
    given = first_administrator(home, "chief", "Chief Example", clock=clock)
    WitnessFolder.create(tmp_path / "witness", "witness.example/arcadia").close()
    department = open_department(tmp_path, clock, {"chief": (given.password, secret_of(given))})
    with Reader.desk(department) as make:
        chief = make()
        assert chief.logon("chief").path == "/account/password"
        assert "the set-up" in chief.get("/account/password").text
        page = chief.get("/setup")
        assert page.status == 200, page.text[:300]
        first = page.html.split('id="step-1"')[1].split("</li>")[0]
        assert "to do" in first
        assert 'href="/account/password"' in first
        assert "department user password" in first
        assert chief.get("/people").status == 409
        public = make().get("/transparency")
        assert "Nothing is counted yet" in public.text
        assert "up to never" not in public.text

        first_token = chief.cookies[SESSION_COOKIE]
        own = {"old": given.password, "new": PASSWORD, "again": PASSWORD}
        asked = chief.get("/account/password")
        secret = asked.html.split('Or type it: <span class="read">')[1].split("<")[0]
        department.secrets["chief"] = (PASSWORD, secret)
        done = chief.send(asked, "/account/password", **own, new_code=department.code("chief"))
        assert "Log in again with your own password" in done.text
        assert SESSION_COOKIE not in chief.cookies
        chief.cookies[SESSION_COOKIE] = first_token  # a copy of it no longer opens anything
        assert chief.get("/training").status == 401
        chief.cookies.clear()
        assert chief.logon("chief").path == "/"
        account = {"user": "super", "name": "S. Lee", "organisation": "PD", "roles": "ccat-supervisor"}
        made = chief.post(
            "/people",
            form_of(chief.get("/people"), "user/set") | account | {"reason": "hired", "active": "yes"},
        )
        assert "Entered" in made.text, made.text[:300]  # signed in the chief's own name
        assert "nothing to choose yet" in chief.get("/grants").text  # there is no designee yet
        refused = chief.get("/")  # no witness is named yet
        assert refused.status == 409
        assert '<a href="/setup">Set-up</a>' in refused.html
        setup = chief.get("/setup").html
        assert f"department witness add-log {department.desk.log.note_key.text()}" in html.unescape(setup)
        keys = setup.split('id="step-2"')[1].split("</li>")[0]
        assert "to do" in keys
        assert "Still here: administrator.key" in keys
        for one in (home.path / "root-keys").iterdir():
            one.unlink()
        assert "Still here" not in chief.get("/setup").html
        assert "newer before the next answer leaves" in chief.get("/help").text or "no witness" in setup
    department.close()


def test_root_keys_have_moved_once_they_are_gone(department: Department, reader: Browser) -> None:
    """A signed root file is not enough to say so."""
    chief = reader()
    chief.logon("chief")
    folder = department.home.path / "root-keys"

    def state() -> str:
        return chief.get("/setup").html.split('id="step-2"')[1].split("</li>")[0]

    assert department.desk.root.version > 1
    assert "to do" in state()
    for one in sorted(folder.iterdir()):
        assert one.name in state()
        one.unlink()
    assert "done" in state()
    folder.rmdir()
    assert "done" in state()


def test_every_command_of_the_set_up_is_one(
    department: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    visit = SimpleNamespace(calling=SimpleNamespace(front=department.front), now_us=department.clock.us)
    commands = [command for step in governing.steps(cast("Visit", visit)) for command in step.commands]
    assert len(commands) > 10
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "department"
        verbs = list(itertools.takewhile(re.compile(r"[a-z][a-z-]*").fullmatch, words[1:]))
        with contextlib.suppress(SystemExit):
            main([*verbs, "--help"])
        said = capsys.readouterr().out
        assert f"Usage: department {' '.join(verbs)}" in said, command
        for option in [one for one in words if one.startswith("--")]:
            assert option in said, (command, option)
