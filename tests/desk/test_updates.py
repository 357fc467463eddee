"""An update that no unit takes is refused at the desk, before anybody signs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_twins import Department
from update_twin import release_trust, update_file

from sync.department.desk.documents import updates
from sync.department.desk.documents.calls import Signed, SignForm
from sync.department.desk.documents.updates import KEYS_FILE, check_update, release_keys
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import Refused
from sync.department.policy.refusals import FormError

FORM = SignForm(kind="update", name="0.7.0", body=update_file(), reason="the spring release")
KEYS = release_trust().text()
Tokens = Callable[[str], str]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"garbage", id="no tar"),
        pytest.param(b"garbage" * 1000, id="long garbage"),
        pytest.param(update_file()[:-12_000], id="cut off"),
        pytest.param(update_file().replace(b"a bundle", b"a bundlf"), id="another bundle"),
        pytest.param(update_file().replace(b"version 7", b"version 9"), id="a version not in the log"),
    ],
)
@pytest.mark.parametrize("keys", ["", KEYS], ids=["without keys", "with keys"])
def test_what_units_would_refuse_is_refused_by_its_field_and_with_a_cure(body: bytes, keys: str) -> None:
    with pytest.raises(FormError, match="units would refuse this update") as refused:
        check_update(body, keys)
    assert (refused.value.fields, refused.value.cure) == (("body",), updates.CURE)


def test_only_the_release_keys_show_that_another_log_holds_a_release() -> None:
    foreign = KEYS.replace("quorum 1", "quorum 0").replace("log releases", "log others")
    assert check_update(FORM.body, "").version == check_update(FORM.body, KEYS).version == 7
    with pytest.raises(FormError, match=KEYS_FILE):
        check_update(FORM.body, "log nothing")
    with pytest.raises(FormError, match=f"{KEYS_FILE}|not in the release log"):
        check_update(FORM.body, foreign)


def test_an_update_that_no_sync_delivers_is_refused_and_a_stick_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(updates, "MAX_UPDATE_BYTES", len(FORM.body) - 1)
    with pytest.raises(FormError, match="at most 0 MB") as refused:
        check_update(FORM.body, "")
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
    for keys in ("", KEYS):
        if keys:
            (department.home.path / KEYS_FILE).write_text(keys)
        form = replace(FORM, reason=f"spring {len(said)}", propose=True)
        made = department.call("document/sign", token, form)
        assert isinstance(made, Signed)
        note = log.entry(made.proposal).note
        assert isinstance(note, ChangeProposed)
        said.append(note.summary)
    assert all("release 0.7.0 (version 7) for rpi boards" in one for one in said)
    assert f"no {KEYS_FILE} here" in said[0]
    assert "is in the release log" in said[1]


def test_release_keys_that_cannot_be_read_are_named(department: Department) -> None:
    folder = department.home.path
    assert release_keys(folder) == ""
    (folder / KEYS_FILE).write_bytes(b"\xff")
    with pytest.raises(FormError, match=KEYS_FILE) as refused:
        release_keys(folder)
    assert refused.value.code == "release-keys"
