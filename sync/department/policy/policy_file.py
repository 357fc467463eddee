"""The policy file: TOML with clause numbers, parsed into a `Policy`. No I/O except for the default's text.

Section 463 is the default (`policy-463.toml`). `parse_policy` refuses unknown, missing and mistyped fields,
and every value beyond the ceilings that bind all departments. The file is in force only if the root file
names its version and SHA-256 (`root_file.py`).
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from importlib import resources
from typing import Any

from storage.codec import from_plain, parse_toml
from storage.errors import RecordError
from storage.text_end import NO_KEY, RESTORE, says_nothing
from sync.department.ground.local_time import fixed_name
from sync.department.policy.policy import Policy
from sync.root_file import Root

MAX_POLICY_BYTES = 256 * 1024
LATER_TERMS = {
    "sessions": ("proof_minutes",),
    "inquiry": ("number_refused", "numbers", "bases_of"),
    "detectors": ("break_glass_count", "break_glass_days"),
}
"""Terms that files signed before them do not have: they mean section 463's values."""


@functools.lru_cache(maxsize=16)  # cached: a policy is frozen, and a desk needs it all the time
def parse_policy(document: bytes) -> Policy:
    """Parse a policy from TOML. Raises RecordError naming the field."""
    if len(document) > MAX_POLICY_BYTES:
        raise RecordError(f"is larger than {MAX_POLICY_BYTES} bytes", where="policy")
    table = parse_toml(document, where="policy")
    if says_nothing(table):
        raise RecordError(NO_KEY, where="policy", cure=RESTORE)
    return from_plain(Policy, _with_alerts(_with_later_terms(_with_zone(table))), where="policy")


def _with_later_terms(table: dict[str, Any]) -> dict[str, Any]:
    """Fill in section 463's values for terms that an older file lacks."""
    usual = _default_table()
    result = {name: usual[name] for name in ("break_glass", "people", "unit")} | table
    for name, terms in LATER_TERMS.items():
        if isinstance(table.get(name), dict):
            result[name] = {term: usual[name][term] for term in terms} | table[name]
    return result


def _with_alerts(table: dict[str, Any]) -> dict[str, Any]:
    """Fill in the default alert terms: files from before alerts only name list categories."""
    if "alerts" in table:
        return table
    named = {one.get("id") for one in table.get("lists", []) if isinstance(one, dict)}
    usual = _default_table()["alerts"]
    kept = [one for one in usual["categories"] if one["id"] in named]
    rest = {name: value for name, value in table.items() if name != "lists"}
    return rest | {"alerts": usual | {"categories": kept or usual["categories"]}}


def _with_zone(table: dict[str, Any]) -> dict[str, Any]:
    """Keep the fixed offset of files from before time zones."""
    audit = table.get("audit")
    old = audit.get("utc_offset_minutes") if isinstance(audit, dict) else None
    if "time_zone" in table or type(old) is not int:
        return table
    rest = {name: value for name, value in table["audit"].items() if name != "utc_offset_minutes"}
    return table | {"audit": rest, "time_zone": fixed_name(old)}


def policy_digest(document: bytes) -> bytes:
    """SHA-256 of the policy file's bytes."""
    return hashlib.sha256(document).digest()


def checked_policy(root: Root, document: bytes) -> Policy:
    """Parse the policy that a root names: digest, version and department must match. Raises RecordError."""
    if policy_digest(document) != root.policy_digest:
        raise RecordError("is not the policy file that the root file names", where="policy")
    policy = parse_policy(document)
    if policy.version != root.policy_version or policy.department != root.department:
        raise RecordError("version or department differ from the root file's", where="policy")
    return policy


def document_for(department: str, *, fips: bool) -> bytes:
    """Section 463's policy file for another department and profile. Raises RecordError for a bad name."""
    usual = parse_policy(default_document()).department
    if not department.isprintable() or set(department) & {'"', "\\"}:
        raise RecordError("a department's name is plain text", where="policy.department")
    document = default_document().replace(
        f'department = "{usual}"'.encode(), f'department = "{department}"'.encode(), 1
    )
    return document.replace(b'profile = "standard"', b'profile = "fips"', 1) if fips else document


@functools.cache
def _default_table() -> dict[str, Any]:
    return tomllib.loads(default_document().decode())


@functools.cache
def default_document() -> bytes:
    """The text of section 463's policy file, with its comments."""
    return resources.files("sync.department.policy").joinpath("policy-463.toml").read_bytes()
