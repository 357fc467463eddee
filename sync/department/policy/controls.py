"""The CJIS control table with each figure in force, and the FIPS profile, named exactly. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from storage.counts import counted
from sync.department.policy.policy import Policy
from sync.root_file import Root

FIPS_NAME = "approved algorithms, not a validated module"
OWN_PROCESS = "in the server's own process: root on this machine can read content without a trace"
ELSEWHERE = "on another machine: root here cannot open content without an entry that its person signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control of the FBI CJIS Security Policy and the figure in force. `gap`: what is still lacking."""

    control: str
    asks: str
    in_force: str
    gap: str


_Row = tuple[str, str, str, str]  # control, what it asks for, what is in force, the gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the table needs to know of this home."""

    keys_elsewhere: bool
    witness_here: bool
    database: str
    tls_beyond: tuple[str, ...] = ()  # suites that this process would accept and FIPS forbids


def table(policy: Policy, root: Root, facts: Facts) -> list[Control]:
    """All rows, in the order of the families."""
    rows = [*_people_and_log(policy, root, facts), *_secrets_and_media(policy, facts)]
    return [Control(control=a, asks=b, in_force=c, gap=d) for a, b, c, d in rows]


def _people_and_log(policy: Policy, root: Root, facts: Facts) -> list[_Row]:
    terms = policy.sessions
    posts = ", ".join(terms.staffed_posts) or "none"
    witness = ", ".join(one.keys[0].partition("+")[0] for one in root.witnesses) or "none"
    gap = "the witness runs on this machine and does not guard against its root" if facts.witness_here else ""
    return [
        (
            "AC-2",
            "accounts are managed",
            "roster in the log; only the administrator changes it, never their own",
            "",
        ),
        ("AC-3", "access by role", "roles and calls of the signed policy file; ceilings in code", ""),
        (
            "AC-7",
            "5 failed logins in 15 minutes lock out",
            f"{terms.attempts} in {terms.window_minutes} minutes lock for {terms.lockout_minutes} minutes",
            "",
        ),
        ("AC-11", "lock after 30 idle minutes", f"{terms.lock_minutes} minutes; exempt posts: {posts}", ""),
        ("AC-12", "sessions end", f"after {counted(terms.longest_hours, 'hour')}", ""),
        (
            "AT-2, AT-3",
            "training, yearly",
            f"{counted(policy.training.valid_days, 'day')}; gates every call that touches data",
            "",
        ),
        (
            "AU-2, AU-3",
            "who, what, when, outcome",
            "an entry before the answer; refusals are entries too",
            "",
        ),
        (
            "AU-6",
            "logs are reviewed",
            f"audit every {counted(policy.audit.every_days, 'day')}; findings due in "
            f"{counted(policy.audit.finding_due_days, 'day')} with a reviewer who is not the searcher",
            "",
        ),
        (
            "AU-9",
            "logs are protected",
            f"Merkle log, co-signed by {witness}; grace {policy.witness.grace_minutes} minutes",
            "no witness: no answer leaves" if witness == "none" else gap,
        ),
        ("AU-11", "kept a year", counted(policy.retention.log_keep_days, "day"), ""),
    ]


def _secrets_and_media(policy: Policy, facts: Facts) -> list[_Row]:
    terms, fips = policy.sessions, policy.security.approved
    hashing = (
        "PBKDF2-HMAC-SHA-256, 600000 rounds"
        if fips
        else f"argon2id, {policy.security.argon2_memory_kib} KiB, {policy.security.argon2_passes} passes"
    )
    return [
        (
            "IA-11",
            "authenticated again",
            f"a proof at most {terms.proof_minutes} minutes old for holds, exports, sharing, grants, "
            "covert entries and passkeys",
            "",
        ),
        ("IA-2", "two factors", "password and TOTP (RFC 6238), each code once", ""),
        (
            "IA-5",
            "passwords",
            f"{policy.security.password_min} characters at least, {hashing}, "
            f"{counted(policy.security.password_max_days, 'day')} at most",
            "",
        ),
        (
            "MP-6",
            "media are sanitized",
            "day keys destroyed with the purge (SP 800-88 Rev. 2, cryptographic erase)",
            "an overwritten key file may survive on flash outside the file system's sight",
        ),
        (
            "SC-8",
            "encrypted in transit",
            "TLS 1.3, P-256, only AES-GCM suites" if fips else "TLS 1.3, P-256",
            f"OpenSSL here would take {', '.join(facts.tls_beyond)}: the server refuses to start"
            if fips and facts.tls_beyond
            else "",
        ),
        (
            "SC-12",
            "keys are managed",
            ELSEWHERE if facts.keys_elsewhere else OWN_PROCESS,
            "root here still sees which reads of one day have the same plate: equal search tokens"
            if facts.keys_elsewhere
            else "run `department keys serve` on a machine with another administrator",
        ),
        (
            "SC-13",
            "FIPS 140 cryptography",
            f"FIPS profile on: {FIPS_NAME}"
            if fips
            else "standard profile: argon2id and ChaCha20 beside approved algorithms",
            "a validated module is the operating system's matter",
        ),
        ("SC-28", "encrypted at rest", f"AES-256-GCM, one key a day of receipt; store: {facts.database}", ""),
    ]
