"""Drafts what the offices sign: the next root file, from the one in force. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from storage.cosigners import CosignerKey
from storage.errors import CheckpointError, EnvelopeError, RecordError, SignatureError
from storage.times import iso_text
from sync import root_file
from sync.department.journal.named_administrator import AdministratorStatement
from sync.department.policy import policy_file
from sync.errors import InvalidInputError
from sync.root_file import Root, RootWitness

LONGEST_KEY = 200  # characters up to which a key is shown whole


def draft_root(
    root: Root,
    document: bytes,
    *,
    now_us: int,
    witnesses: Iterable[RootWitness] = (),
    public_witnesses: Iterable[RootWitness] = (),
    without: Sequence[str] = (),
    quorum: int | None = None,
    offices: Sequence[str] = (),
    key_service: str = "",
) -> Root:
    """The root that follows `root`, unsigned. Raises InvalidInputError, RecordError.

    `witnesses`: added, or replacing those of the same name; `without`: names of witnesses to remove.
    `quorum`: by default more than half of them. `offices`: HOLDER=KEY, root keys that change. `key_service`:
    the key (hex) that signs the key service's list.
    """
    named = _changed(root.witnesses, witnesses, without)
    shown = _changed(root.public_witnesses, public_witnesses, without)
    known = {name_of(one) for one in (*root.witnesses, *root.public_witnesses)}
    if unknown := set(without) - known:
        raise InvalidInputError(
            f"names no witness of the root file: {', '.join(sorted(unknown))}", where="without"
        )
    usual = root.quorum if named == root.witnesses else len(named) // 2 + 1 if named else 0
    return replace(
        root,
        version=root.version + 1,
        created_us=now_us,
        policy_version=policy_file.parse_policy(document).version,
        policy_digest=policy_file.policy_digest(document),
        witnesses=named,
        quorum=usual if quorum is None else quorum,
        public_witnesses=shown,
        keys=_offices(root.keys, offices),
        others=_others(root.others, key_service),
    )


def witness_of(text: str, url: str, where: str) -> RootWitness:
    """Make a witness from its comma-separated keys and its URL. Raises InvalidInputError naming `where`."""
    made = RootWitness(keys=tuple(one.strip() for one in text.split(",")), url=url)
    try:
        for one in made.keys:
            CosignerKey.parse(one)
    except CheckpointError as error:
        raise InvalidInputError(
            str(error),
            where=where,
            cure="as `department witness init` printed it, not the log's",
        ) from None
    return made


def witnesses_of(keys: Sequence[str], urls: Sequence[str], where: str) -> list[RootWitness]:
    """Make witnesses from their keys, each with its URL. Raises InvalidInputError naming `where`."""
    if len(keys) != len(urls):
        raise InvalidInputError(
            "each witness has its URL", where=f"{where}-url", cure=f"one for each {where}"
        )
    for url in urls:
        parts = urlsplit(url)
        if not (parts.scheme == "https" and parts.hostname) and not (parts.scheme == "folder" and parts.path):
            raise InvalidInputError(
                "is not an address of a witness",
                where=f"{where}-url",
                cure="https://HOST:PORT, or folder:/PATH",
            )
    return [witness_of(text, url, where) for text, url in zip(keys, urls, strict=True)]


def lines_of(root: Root, *, whole: bool = False) -> list[str]:
    """Everything that a root file says, for those who sign it: one fact per line.

    A key of kilobytes (ML-DSA) is shown as its name and the SHA-256 of its text, unless `whole`.
    """
    lines = [
        f"version {root.version} of the root file of {root.department}{' (demo)' if root.demo else ''}, "
        f"made {iso_text(root.created_us, to='second')}",
        f"policy version {root.policy_version}, SHA-256 {root.policy_digest.hex()}",
        f"{root.quorum} of {len(root.witnesses)} witnesses co-sign",
    ]
    for which, witnesses in (("witness", root.witnesses), ("public witness", root.public_witnesses)):
        for one in witnesses:
            keys = one.keys if whole else map(_short, one.keys)
            lines.append(f"{which} {' '.join(keys)} {one.url}")
    lines += [f"root key of {one.holder}: {one.public.hex()}" for one in root.keys]
    lines += [f"key {one.name}: {one.public.hex()}" for one in root.others]
    return [_plain(line) for line in lines]


def _short(key: str) -> str:
    if len(key) <= LONGEST_KEY:
        return key
    name, number, _ = key.split("+", 2)
    return f"{name}+{number}+(SHA-256 of this key's text: {hashlib.sha256(key.encode()).hexdigest()})"


def changed_lines(root: Root, before: Root, *, whole: bool = False) -> list[str]:
    """The same lines compared with the previous root file: `-` for what goes, `+` for what comes."""
    old, new = lines_of(before, whole=whole), lines_of(root, whole=whole)
    gone = [f"- {line}" for line in old if line not in new]
    return [*gone, *(f"  {line}" if line in old else f"+ {line}" for line in new)]


def statement_lines(said: AdministratorStatement) -> list[str]:
    """What a statement that names an administrator says."""
    return [
        _plain(f"{said.user} ({said.name}) becomes the administrator of {said.department};"),
        "those who are administrators now lose that role;",
        "while no one else may approve then, this person enters accounts alone",
        f"drafted {iso_text(said.at_us, to='second')}, good for 14 days",
        f"under the root file with SHA-256 {said.root.hex()}, from entry {said.log_size} of the access log",
    ]


def described(data: bytes, where: str) -> tuple[Root, tuple[str, ...]]:
    """A root file or a draft of one, and which of its own offices signed it.

    Raises SignatureError, and InvalidInputError for anything else.
    """
    try:
        return root_file.describe(data)
    except SignatureError:
        raise
    except (EnvelopeError, RecordError) as error:
        cure = error.cure or "get it again from where it was made"
        raise InvalidInputError(
            f"is not a root file, or was cut off: {error.what}", where=where, cure=cure
        ) from None


def standing_words(
    signed: Sequence[str], replaced: Sequence[str] | None = None, *, knows_all: bool = True
) -> str:
    """Who has signed so far, and what is missing.

    `signed`: offices by the file's own keys; `replaced`: by the keys of the root file in force, if some of
    them change; `knows_all`: whether that root file is here to say so.
    """
    said = [_signed_words(signed, "" if replaced is None else "the new keys of ")]
    if replaced is not None:
        said.append(_signed_words(replaced, "the old keys of "))
    if not knows_all and len(signed) >= root_file.THRESHOLD:
        said.append("if it replaces an office's key, two offices must sign by the old keys too")
    return "; ".join(said)


def _signed_words(signed: Sequence[str], whose: str) -> str:
    lacking = root_file.THRESHOLD - len(signed)
    names = " and ".join(signed) or "no office"
    if lacking <= 0:
        return f"signed by {whose}{names}: that is enough"
    return f"signed by {whose}{names}: {lacking} more office{'s' * (lacking > 1)} must sign"


def _plain(line: str) -> str:
    """A line without what would disturb a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def name_of(one: RootWitness) -> str:
    """A witness's name, as in notes."""
    return one.keys[0].partition("+")[0]


def _changed(
    now: tuple[RootWitness, ...], new: Iterable[RootWitness], without: Sequence[str]
) -> tuple[RootWitness, ...]:
    kept = {name_of(one): one for one in now if name_of(one) not in without}
    kept.update({name_of(one): one for one in new})
    return tuple(kept.values())


def _offices(keys: tuple[root_file.RootKey, ...], changes: Sequence[str]) -> tuple[root_file.RootKey, ...]:
    """The three offices after the changes of keys. Raises InvalidInputError."""
    known = {one.holder: one.public for one in keys}
    for change in changes:
        holder, _, text = change.partition("=")
        public = _hex(text)
        if holder not in known or len(public) != 32:
            raise InvalidInputError(
                "names an office and its new key", where="--office", cure="one of " + ", ".join(known)
            )
        known[holder] = public
    return tuple(root_file.RootKey(holder=holder, public=public) for holder, public in known.items())


def _others(others: tuple[root_file.NamedKey, ...], key_service: str) -> tuple[root_file.NamedKey, ...]:
    if not key_service:
        return others
    public = _hex(key_service)
    if len(public) != 32:
        raise InvalidInputError("is not a key of 32 bytes in hex", where="--key-service")
    kept = tuple(one for one in others if one.name != root_file.KEY_SERVICE)
    return (*kept, root_file.NamedKey(name=root_file.KEY_SERVICE, public=public))


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
