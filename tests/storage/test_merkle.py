"""The tree's functions compared with RFC 9162's definition and the Certificate Transparency test tree."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import merkle
from storage.errors import ProofError

# The reference tree of the certificate-transparency project (merkletree tests): inputs and roots.
CT_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(hashes: list[bytes]) -> bytes:
    """MTH exactly as in RFC 9162, 2.1.1."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(hashes[:k]) + by_definition(hashes[k:])).digest()


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def source(hashes: list[bytes]) -> merkle.SubtreeHash:
    return lambda level, index: by_definition(hashes[index << level : (index + 1) << level])


def test_roots_are_those_of_the_reference_tree() -> None:
    frontier = merkle.Frontier()
    assert frontier.root() == hashlib.sha256(b"").digest()
    for text, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        frontier.append(merkle.leaf_hash(bytes.fromhex(text)))
        assert frontier.root().hex() == root


@given(st.integers(0, 300))
def test_frontier_root_and_reload_agree_with_the_definition(count: int) -> None:
    hashes = leaves(count)
    assert merkle.root_of(hashes) == by_definition(hashes)
    assert merkle.Frontier.load(count, source(hashes)).root() == by_definition(hashes)
    assert merkle.root_at(count, source(hashes)) == by_definition(hashes)


@given(st.integers(1, 130), st.data())
def test_every_inclusion_proof_holds_for_its_leaf_and_for_no_other(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    root = by_definition(hashes)
    proof = merkle.inclusion_proof(index, size, source(hashes))
    merkle.verify_inclusion(index, size, hashes[index], proof, root)
    for wrong_index, wrong_leaf in ((index, merkle.leaf_hash(b"x")), ((index + 1) % size, hashes[index])):
        if wrong_index == index and wrong_leaf == hashes[index]:
            continue  # a tree with one leaf has no other place
        with pytest.raises(ProofError):
            merkle.verify_inclusion(wrong_index, size, wrong_leaf, proof, root)
    for broken in ([*proof, root], proof[:-1]):
        if broken != proof:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(index, size, hashes[index], broken, root)


@pytest.mark.one_python
@settings(max_examples=150)
@given(st.integers(1, 130), st.data())
def test_every_consistency_proof_holds_and_a_rewritten_past_does_not(
    second: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, second))
    hashes = leaves(second)
    old, new = by_definition(hashes[:first]), by_definition(hashes)
    proof = merkle.consistency_proof(first, second, source(hashes))
    merkle.verify_consistency(first, old, second, new, proof)
    other = by_definition([merkle.leaf_hash(b"another past"), *hashes[1:first]])
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, other, second, new, proof)
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, old, second, merkle.leaf_hash(b"another future"), proof)


def test_a_longer_tree_never_precedes_a_shorter_one() -> None:
    with pytest.raises(ProofError, match="cannot extend"):
        merkle.verify_consistency(5, bytes(32), 3, bytes(32), [])
