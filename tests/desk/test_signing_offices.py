"""Offices sign root files by command: what each is shown, whose signature counts, what is still missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desk_terminal import Terminal

from sync import root_file
from sync.department.journal import named_administrator


def test_an_office_gets_a_new_key_by_two_old_and_two_new(terminal: Terminal, tmp_path: Path) -> None:
    terminal.given("user", "first", "chief")
    keys = terminal.home / "root-keys"
    fresh, draft = str(tmp_path / "fresh.key"), str(tmp_path / "next.root")
    public = terminal.type("keys", "new", "--out", fresh)[1].strip()
    assert terminal.type("keys", "new", "--out", fresh)[0] == 2
    assert terminal.type("keys", "draft", "--out", draft, "--office", "nobody=00")[0] == 2
    assert terminal.type("keys", "draft", "--out", draft, "--office", f"spare={public}")[0] == 0
    assert terminal.signs(draft, fresh)
    assert terminal.signs(draft, str(keys / "administrator.key"))
    assert terminal.type("keys", "adopt", draft)[0] == 1  # two of the new offices, one of the old
    assert not terminal.signs(draft, str(keys / "spare.key"))  # no office of the draft itself has this key
    assert terminal.signs(draft, str(keys / "spare.key"), "--against", str(terminal.home / "root.cbor"))
    assert terminal.type("keys", "adopt", draft)[0] == 0
    assert public in terminal.type("keys", "root")[1]
    draft = str(tmp_path / "stolen.root")
    assert terminal.type("keys", "draft", "--out", draft, "--office", f"spare={public}")[0] == 0
    assert not terminal.signs(draft, str(keys / "spare.key"))
    assert terminal.signs(draft, str(keys / "outside-office.key"))
    assert terminal.type("keys", "adopt", draft)[0] == 1  # a replaced key cannot sign


ONE, ENOUGH = "1 more office must sign", "that is enough"


def test_each_signature_says_who_signed_so_far_and_whether_another_is_needed(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.given("user", "first", "chief")
    keys, root = terminal.home / "root-keys", str(terminal.home / "root.cbor")
    fresh, plain, other = (str(tmp_path / name) for name in ("fresh.key", "plain.root", "other.root"))
    public = terminal.type("keys", "new", "--out", fresh)[1].strip()
    assert terminal.type("keys", "draft", "--out", plain)[0] == 0
    assert terminal.type("keys", "draft", "--out", other, "--office", f"spare={public}")[0] == 0

    def said(draft: str, key: str, *more: str) -> str:
        words = ["keys", "sign", draft, "--key", key, *more]
        shown = terminal.type(*words)[1].split()[-1]
        status, out, err = terminal.type(*words, "--digest", shown)
        return out.splitlines()[-1] if status == 0 else err

    administrator, outside, spare = (
        str(keys / f"{name}.key") for name in ("administrator", "outside-office", "spare")
    )
    assert f"signed by administrator: {ONE}" in said(plain, administrator)
    assert f"signed by administrator: {ONE}" in said(plain, administrator)
    assert f"signed by administrator and spare: {ENOUGH}" in said(plain, spare)
    assert said(plain, spare).endswith(
        "two offices must sign by the old keys too; keep a copy to compare the next one with"
    )
    assert "old keys" not in said(plain, spare, "--against", root)
    against = ("--against", root)
    first = said(other, fresh, *against)
    assert f"the new keys of spare: {ONE}; signed by the old keys of no office: 2 more offices" in first
    second = said(other, administrator, *against)
    assert f"administrator and spare: {ENOUGH}; signed by the old keys of administrator: {ONE}" in second
    assert second.count(ENOUGH) == 1
    assert said(other, outside, *against).count(ENOUGH) == 2
    size = Path(plain).read_bytes()
    refused = said(plain, fresh, *against)
    assert refused.startswith(f"department: {fresh}: not signed: this key belongs to no office")
    assert Path(plain).read_bytes() == size


def test_the_key_that_an_earlier_root_file_replaced_counts_for_no_draft(
    terminal: Terminal, tmp_path: Path
) -> None:
    """The office kept the root file before the last one, which still has the key that was replaced."""
    terminal.given("user", "first", "chief")
    keys, kept = terminal.home / "root-keys", tmp_path / "kept.root"
    administrator, outside, spare = (
        str(keys / f"{name}.key") for name in ("administrator", "outside-office", "spare")
    )
    kept.write_bytes((terminal.home / "root.cbor").read_bytes())
    fresh, first, second = (str(tmp_path / name) for name in ("fresh.key", "first.root", "second.root"))
    public = terminal.type("keys", "new", "--out", fresh)[1].strip()
    drafted = terminal.type("keys", "draft", "--out", first, "--office", f"spare={public}")[1]
    assert "two offices by the old keys, and two by the new, sign it" in drafted
    for key in (administrator, outside):
        assert terminal.signs(first, key)
    assert terminal.type("keys", "adopt", first)[0] == 0
    assert "unsigned; two offices sign it" in terminal.type("keys", "draft", "--out", second)[1]
    unsigned = Path(second).read_bytes()
    words = ["keys", "sign", second, "--against", str(kept)]
    status, out, _ = terminal.type(*words, "--key", spare)
    assert status == 2
    assert "compared with version 1, but version 2 was in force when this was drafted" in out
    digest = out.split()[-1]
    status, _, err = terminal.type(*words, "--key", spare, "--digest", digest)
    assert (status, "this key belongs to no office of that root file" in err) == (2, True)
    assert Path(second).read_bytes() == unsigned
    status, out, _ = terminal.type(*words, "--key", fresh, "--digest", digest)
    assert (status, "signed by spare: 1 more office must sign" in out) == (0, True)


def test_an_office_signs_a_root_file_only_by_the_digest_of_what_it_was_shown(
    terminal: Terminal, tmp_path: Path
) -> None:
    """The draft looks like the yearly policy, but replaces the log's key and names its own witness."""
    terminal.given("user", "first", "chief")
    root_path, draft = terminal.home / "root.cbor", tmp_path / "next.root"
    key = str(terminal.home / "root-keys" / "outside-office.key")
    root, _ = root_file.describe(root_path.read_bytes())
    others = tuple(replace(one, public=bytes(32)) if one.name == "log" else one for one in root.others)
    keys = (replace(root.keys[0], holder="an office\nroot key of nobody"), *root.keys[1:])
    bent = replace(root, version=2, others=others, keys=keys)
    draft.write_bytes(root_file.assemble(bent, []))
    words = ["keys", "sign", str(draft), "--key", key]
    status, out, err = terminal.type(*words)
    assert (status, "read it first" in err, "compared with no root file" in out) == (2, True, True)
    assert "root key of an office?root key of nobody" in out
    status, out, err = terminal.type(*words, "--against", str(root_path), "--digest", root.digest().hex())
    assert "another digest (ask the office" in err
    assert bent.digest().hex() not in err  # so it cannot be copied unread
    changed = [line[:14] for line in out.splitlines() if line[:2] in {"- ", "+ "}]
    assert status == 2
    assert changed == [
        "- version 1 of", "- root key of ", "- key log: " + root.other("log").hex()[:3],  # type: ignore[union-attr]
        "+ version 2 of", "+ root key of ", "+ key log: 000",
    ]  # fmt: skip
    assert root_file.describe(draft.read_bytes())[1] == ()
    policy = tmp_path / "policy.toml"
    policy.write_text(terminal.type("keys", "policy")[1] + "# one line more\n")
    status, _, err = terminal.type(*words, "--policy", str(policy))
    assert (status, "is not the policy file" in err) == (2, True)
    assert terminal.signs(str(draft), key, "--against", str(root_path))
    assert root_file.describe(draft.read_bytes())[1] == ("outside-office",)


def test_an_office_reads_whom_a_statement_names_before_it_signs(terminal: Terminal, tmp_path: Path) -> None:
    terminal.given("user", "first", "chief")
    made, other = str(tmp_path / "next.admin"), str(tmp_path / "other.admin")
    for user, out in (("m.mallory", made), ("m.lopez", other)):
        assert terminal.type("keys", "administrator", user, "--name", "M. L.", "--out", out)[0] == 0
    words = ["keys", "sign", made, "--key", str(terminal.home / "root-keys" / "spare.key")]
    status, out, _ = terminal.type(*words)
    assert (status, "m.mallory (M. L.) becomes the administrator" in out) == (2, True)
    read = terminal.type("keys", "sign", other, *words[3:])[1].split()[-1]
    assert terminal.type(*words, "--digest", read)[0] == 2  # needs the digest of the statement that was read
    assert named_administrator.parse(Path(made).read_bytes())[1] == ()
    assert terminal.signs(made, words[-1], "--against", str(terminal.home / "root.cbor"))
    assert len(named_administrator.parse(Path(made).read_bytes())[1]) == 1
