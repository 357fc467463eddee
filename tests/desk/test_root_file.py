"""The root file: two of three offices, strictly rising versions, rotations as named cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import Department
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.codec import from_bytes, to_bytes, to_plain
from storage.cosigners import CosignerKey
from storage.envelope import encode
from storage.errors import OutdatedError, RecordError, SignatureError, StorageError
from sync import root_file
from sync.department.policy.policy_file import default_document, policy_digest
from sync.department.server.ceremony import witnesses_of
from sync.department.server.open_desk import adopt_root, open_desk
from sync.department.units.authority import Authority
from sync.errors import HomeError, InvalidInputError
from sync.root_file import NamedKey, Root, RootKey, RootWitness

OLD = [Ed25519PrivateKey.generate() for _ in range(3)]
NEW = [Ed25519PrivateKey.generate() for _ in range(3)]
STRANGER = Ed25519PrivateKey.generate()


def keys_of(keys: list[Ed25519PrivateKey]) -> tuple[RootKey, ...]:
    return tuple(
        RootKey(holder=f"office {at}", public=key.public_key().public_bytes_raw())
        for at, key in enumerate(keys)
    )


FIRST = Root(
    format=root_file.FORMAT,
    version=1,
    department="Monrovia Police Department",
    created_us=1,
    demo=False,
    keys=keys_of(OLD),
    policy_version=1,
    policy_digest=policy_digest(default_document()),
    witnesses=(),
    quorum=0,
    public_witnesses=(),
    others=(),
)


def signed(root: Root, *keys: Ed25519PrivateKey) -> bytes:
    return root_file.assemble(root, [root_file.sign(root, key) for key in keys])


def test_a_first_root_is_trusted_by_its_digest_and_two_signatures() -> None:
    assert root_file.open_first(signed(FIRST, *OLD[:2]), FIRST.digest()) == FIRST
    with pytest.raises(SignatureError, match="not the root whose digest"):
        root_file.open_first(signed(replace(FIRST, created_us=2), *OLD), FIRST.digest())
    with pytest.raises(SignatureError, match="2 of the new"):
        root_file.open_first(signed(FIRST, OLD[0]), FIRST.digest())


SECOND = replace(FIRST, version=2)
ROTATED = replace(SECOND, keys=keys_of([OLD[0], NEW[1], NEW[2]]))
RENEWED = replace(SECOND, keys=keys_of(NEW))


@pytest.mark.parametrize(
    ("root", "signers", "error"),
    [
        pytest.param(SECOND, OLD[:2], None, id="same keys, two sign"),
        pytest.param(SECOND, OLD, None, id="same keys, all sign"),
        pytest.param(SECOND, OLD[:1], SignatureError, id="one key alone"),
        pytest.param(SECOND, [OLD[0], OLD[0]], SignatureError, id="one key twice"),
        pytest.param(SECOND, [OLD[0], STRANGER], SignatureError, id="one key and a stranger"),
        pytest.param(ROTATED, [OLD[0], OLD[1], NEW[1]], None, id="two keys replaced, old and new sign"),
        pytest.param(ROTATED, [OLD[0], OLD[1]], SignatureError, id="new keys did not sign"),
        pytest.param(ROTATED, [OLD[0], NEW[1], NEW[2]], SignatureError, id="only one old key signed"),
        pytest.param(RENEWED, [*OLD[1:], *NEW[:2]], None, id="all keys replaced"),
        pytest.param(RENEWED, NEW, SignatureError, id="all keys replaced by their new holders alone"),
        pytest.param(replace(SECOND, version=1), OLD, OutdatedError, id="same version"),
        pytest.param(replace(FIRST, version=1, created_us=9), OLD, OutdatedError, id="version does not rise"),
        pytest.param(
            replace(SECOND, policy_digest=bytes(32)), OLD, OutdatedError, id="policy changed in silence"
        ),
        pytest.param(replace(SECOND, demo=True), OLD, RecordError, id="a real department turned demo"),
        pytest.param(
            replace(SECOND, others=(NamedKey(name=root_file.LOG, public=bytes(32)),)),
            OLD,
            RecordError,
            id="of another department whose root keys the same offices keep",
        ),
    ],
)
def test_rotations(root: Root, signers: list[Ed25519PrivateKey], error: type[Exception] | None) -> None:
    data = signed(root, *signers)
    if error is None:
        assert root_file.open_next(data, FIRST) == root
    else:
        with pytest.raises(error):
            root_file.open_next(data, FIRST)


def test_a_signature_over_another_root_does_not_count() -> None:
    data = root_file.assemble(SECOND, [root_file.sign(SECOND, OLD[0]), root_file.sign(FIRST, OLD[1])])
    with pytest.raises(SignatureError):
        root_file.open_next(data, FIRST)


def test_offices_sign_one_after_the_other() -> None:
    draft = root_file.assemble(SECOND, [])
    for key, holders in ((OLD[2], 1), (OLD[2], 1), (OLD[0], 2)):
        draft = root_file.add_signature(draft, key)
        assert len(root_file.describe(draft)[1]) == holders
    assert root_file.open_next(draft, FIRST) == SECOND


def test_three_offices_keep_three_keys() -> None:
    with pytest.raises(RecordError):
        replace(FIRST, keys=keys_of([OLD[0], OLD[0], OLD[1]])).check()
    with pytest.raises(RecordError):
        replace(FIRST, keys=FIRST.keys[:2]).check()


@pytest.mark.one_python
@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 4000), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_refused_and_never_crashes(at: int, bit: int, cut: bool) -> None:
    data = bytearray(signed(SECOND, *OLD[:2]))
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= 1 << bit
    with pytest.raises(StorageError):
        root_file.open_next(bytes(data), FIRST)


@pytest.mark.parametrize("name", ["ca", "command", "log"])
def test_a_key_that_was_swapped_in_the_home_opens_no_desk(department: Department, name: str) -> None:
    """Root replaces a key that the root file names."""
    home = department.home
    if name == "ca":
        Authority.create(home.authority, "forged")
    else:
        (home.path / f"{name}.key").write_bytes(STRANGER.private_bytes_raw())
    with pytest.raises((HomeError, StorageError)):
        open_desk(home)


def test_policy_witness_and_keys_change_only_by_the_root_file(department: Department) -> None:
    desk, document = department.desk, department.desk.policy_document
    stricter = document.replace(b"lock_minutes = 30", b"lock_minutes = 10").replace(
        b"version = 2\n", b"version = 3\n"
    )
    good: dict[str, Any] = {"policy_version": 3, "policy_digest": policy_digest(stricter)}
    for data, doc, error in (
        (department.new_root(signers=1, **good), stricter, SignatureError),
        (department.new_root(**good), document, RecordError),
        (department.new_root(policy_digest=policy_digest(stricter)), stricter, StorageError),
        (
            department.new_root(policy_version=1, policy_digest=policy_digest(stricter)),
            stricter,
            StorageError,
        ),
    ):
        with pytest.raises(error):
            adopt_root(department.home, desk, data, doc)
        assert desk.policy.sessions.lock_minutes == 30
    size, older = desk.log.size(), department.home.root_file.read_bytes()
    adopt_root(department.home, desk, department.new_root(**good), stricter)
    assert desk.policy.sessions.lock_minutes == 10
    assert desk.log.entry(size).note.KIND == "root_set"
    with pytest.raises(OutdatedError):
        adopt_root(department.home, desk, older, document)
    size = desk.log.size()
    unsigned = root_file.assemble(desk.root, [])
    with pytest.raises(SignatureError):
        adopt_root(department.home, desk, unsigned, stricter)
    adopt_root(department.home, desk, department.home.root_file.read_bytes(), stricter)
    assert desk.log.size() == size


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8465",
        "http://witness.example",
        "https://",
        "folder:",
        "ftp://x",
        "witness.example",
        "",
    ],
)
def test_a_witness_is_at_an_https_address_or_in_a_folder(url: str) -> None:
    with pytest.raises(InvalidInputError, match="is not an address of a witness"):
        witnesses_of(["no key is looked at before"], [url], "--witness")


def vkeys(name: str, count: int = 1) -> tuple[str, ...]:
    return tuple(CosignerKey.of(name, Ed25519PrivateKey.generate()).text() for _ in range(count))


def some(count: int) -> tuple[RootWitness, ...]:
    return tuple(RootWitness(keys=vkeys(f"w{at}.example"), url="https://w.example") for at in range(count))


def renamed(keys: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The same keys under another name."""
    return tuple(replace(CosignerKey.parse(one), name=name).text() for one in keys)


def ending_in_plus(count: int) -> tuple[RootWitness, ...]:
    """Witnesses whose keys end in the character that separates the parts of a key's line."""
    made: list[RootWitness] = []
    for seed in range(10_000):
        key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
        text = CosignerKey.of(f"w{seed}.example", key).text()
        if text.endswith("+"):
            made.append(RootWitness(keys=(text,), url=""))
        if len(made) == count:
            break
    return tuple(made)


TWICE = RootWitness(keys=vkeys("w.example"), url="https://w.example")
KEYS = keys_of(OLD)


@pytest.mark.parametrize(
    ("good", "bad", "error"),
    [
        ({}, {"format": root_file.FORMAT + 1}, "format or version"),
        ({}, {"version": 0}, "format or version"),
        ({}, {"keys": KEYS[:2]}, "3 different keys"),
        ({}, {"keys": (*KEYS[:2], replace(KEYS[2], public=KEYS[0].public))}, "3 different keys"),
        ({}, {"keys": (*KEYS, KEYS[0])}, "3 different keys"),
        ({}, {"keys": (*KEYS[:2], replace(KEYS[2], holder=KEYS[0].holder))}, "three different offices"),
        ({}, {"keys": (*KEYS[:2], replace(KEYS[2], holder=""))}, "names its holder and has 32 bytes"),
        ({}, {"keys": (*KEYS[:2], replace(KEYS[2], public=bytes(31)))}, "names its holder and has 32 bytes"),
        ({}, {"policy_digest": bytes(31)}, "policy version or digest"),
        ({}, {"policy_version": 0}, "policy version or digest"),
        (
            {"others": (NamedKey(name="a", public=b""), NamedKey(name="b", public=b""))},
            {"others": (NamedKey(name="a", public=b"1"), NamedKey(name="a", public=b"2"))},
            "names one key twice",
        ),
        ({"witnesses": some(7), "quorum": 1}, {"witnesses": some(8), "quorum": 1}, "more than 7 witnesses"),
        ({"public_witnesses": some(7)}, {"public_witnesses": some(8)}, "more than 7 witnesses"),
        (
            {"public_witnesses": ending_in_plus(2)},
            {"public_witnesses": (TWICE, TWICE)},
            "names one witness twice",
        ),
        (
            {},
            {"witnesses": (TWICE, replace(TWICE, keys=vkeys("w.example"))), "quorum": 1},
            "names one witness twice",
        ),
        (
            {},
            {"witnesses": (TWICE, replace(TWICE, keys=renamed(TWICE.keys, "v.example"))), "quorum": 2},
            "names one witness twice",
        ),
        ({"witnesses": some(2), "quorum": 2}, {"witnesses": some(2), "quorum": 3}, "3 of 2 witnesses"),
        ({"witnesses": some(2), "quorum": 1}, {"witnesses": some(2), "quorum": 0}, "0 of 2 witnesses"),
        ({"quorum": 0}, {"quorum": 1}, "1 of 0 witnesses"),
        (
            {"public_witnesses": (RootWitness(keys=vkeys("w.example", 2), url=""),)},
            {"public_witnesses": (RootWitness(keys=vkeys("w.example", 3), url=""),)},
            "has 1 to 2 keys",
        ),
        ({}, {"public_witnesses": (RootWitness(keys=(), url=""),)}, "has 1 to 2 keys"),
        (
            {},
            {"public_witnesses": (RootWitness(keys=(*vkeys("w"), *vkeys("v")), url=""),)},
            "the keys of one witness have one name",
        ),
    ],
)
def test_a_root_has_three_offices_a_policy_and_witnesses_each_once(
    good: dict[str, Any], bad: dict[str, Any], error: str
) -> None:
    allowed, refused = replace(FIRST, **good), replace(FIRST, **bad)
    assert root_file.open_first(signed(allowed, *OLD[:2]), allowed.digest()) == allowed
    with pytest.raises(RecordError, match=error):
        from_bytes(Root, to_bytes(refused))


def test_a_root_file_of_a_newer_format_asks_for_an_update() -> None:
    newer = encode(to_plain(FIRST) | {"format": root_file.FORMAT + 1, "more": 1})
    with pytest.raises(RecordError, match=f"is of format {root_file.FORMAT + 1}; ") as refused:
        root_file.describe(encode({"root": newer, "signatures": []}))
    assert "update" in refused.value.cure


def test_a_root_file_has_six_signatures_at_most() -> None:
    one = root_file.sign(FIRST, OLD[0])
    two = root_file.sign(FIRST, OLD[1])
    assert root_file.open_first(root_file.assemble(FIRST, [one, *[two] * 5]), FIRST.digest()) == FIRST
    with pytest.raises(StorageError, match="more than 6 signatures"):
        root_file.open_first(root_file.assemble(FIRST, [one, *[two] * 6]), FIRST.digest())
