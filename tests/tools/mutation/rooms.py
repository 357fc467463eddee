"""The rooms whose lines are mutated, and the tests that promise something about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """`modules` and `tests` are paths or glob patterns below the root of the checkout."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()

    def module_paths(self, root: Path) -> list[str]:
        """The room's modules, sorted. Raises ValueError where a pattern names none."""
        left_out = set(_paths(root, self.without))
        return [one for one in _paths(root, self.modules) if one not in left_out]

    def test_paths(self, root: Path) -> list[str]:
        """The room's test files, sorted. Raises ValueError where a pattern names none."""
        return _paths(root, self.tests)


def _paths(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """The files that the patterns name. Raises ValueError where one names none."""
    found: set[str] = set()
    for pattern in patterns:
        paths = [one.relative_to(root).as_posix() for one in root.glob(pattern) if one.suffix == ".py"]
        if not paths:
            raise ValueError(f"{pattern}: no such file; correct tests/tools/mutation/rooms.py")
        found.update(paths)
    return sorted(found)


ROOMS: Mapping[str, Room] = {
    "storage": Room(
        modules=("storage/*.py",),
        # words for the person at the keyboard, and names alone
        without=("storage/__init__.py", "storage/errors.py"),
        tests=("tests/storage/test_*.py", "tests/attacks/test_*.py", "tests/sync/test_lying_department.py",
               "tests/faults/test_damaged_ledger.py", "tests/faults/test_odd_slots.py",
               "tests/console/test_grants.py",
               "tests/console/test_grant_limits.py", "tests/console/test_ssh_signature.py",
               "tests/hot_lists/test_importing.py", "tests/alerts/test_matching.py"),
    ),
    "sync": Room(
        modules=("sync/uplink.py", "sync/parcel_size.py", "sync/handover.py", "sync/rollover.py",
                 "sync/department/units/receiver.py"),
        tests=("tests/sync/test_lying_department.py", "tests/sync/test_receiver*.py",
               "tests/sync/test_pieces.py", "tests/sync/test_handover.py", "tests/sync/test_rolled_back.py",
               "tests/sync/test_hostile.py", "tests/sync/test_uplink*.py",
               "tests/sync/test_rollover_steps.py", "tests/sync/test_closed_folder.py",
               "tests/sync/test_alerts_ahead.py", "tests/sync/test_closed_logs.py",
               "tests/sync/test_health.py", "tests/sync/test_parcel_sizes.py"),
    ),
    "desk": Room(
        modules=("sync/department/desk/*/rules.py",),
        tests=tuple(f"tests/desk/test_{subject}.py" for subject in (
            "inquiry", "audit", "sharing", "holds", "people", "training", "second_person",
            "credentials", "refusals", "redress", "emergency", "public_counts", "cases", "alerts",
            "public_alerts", "rules", "rules_searches", "rules_holds", "rules_sharing", "rules_redress",
            "rules_grants", "rules_people", "rules_counts", "office",
        )),
    ),
    "detector": Room(
        modules=("detector/track.py", "detector/meetings.py", "detector/vote*.py", "detector/ballot.py",
                 "detector/confidence.py"),
        tests=("tests/detector/test_confidence.py", "tests/detector/test_track*.py",
               "tests/detector/test_vote.py", "tests/detector/test_reader.py",
               "tests/detector/test_passes_of_all_kinds.py"),
    ),
    "console": Room(
        modules=("storage/grant_format.py", "firmware/console/login.py", "firmware/console/challenge.py",
                 "firmware/console/doorkeeper.py", "firmware/console/failed_logins.py"),
        tests=("tests/console/test_grants.py", "tests/console/test_grant_limits.py",
               "tests/console/test_session.py",
               "tests/console/test_service.py", "tests/console/test_failed_logins.py",
               "tests/console/test_hostile_line.py", "tests/console/test_login_bounds.py"),
    ),
    "arrival": Room(  # what is behind the receiver, and what travels
        modules=("sync/department/units/arrival.py", "sync/department/units/closed_arrival.py",
                 "sync/department/units/destructions.py", "sync/department/store/partials.py",
                 "sync/closed_*.py", "sync/destruction.py", "sync/messages.py", "sync/parcels.py",
                 "sync/pieces.py"),
        tests=("tests/sync/test_receiver*.py", "tests/sync/test_closed_logs.py",
               "tests/sync/test_destruction*.py", "tests/sync/test_message*.py", "tests/sync/test_pieces.py",
               "tests/sync/test_alerts_ahead.py", "tests/sync/test_uplink_*.py",
               "tests/sync/test_arrival_steps.py"),
    ),
    "purge": Room(  # what ends at the department, and the keys that end it
        modules=("sync/department/server/retention.py", "sync/department/content/key_files.py",
                 "sync/department/content/received_days.py", "sync/department/content/vault.py",
                 "sync/department/store/blobs.py"),
        tests=("tests/sync/test_retention.py", "tests/sync/test_first_purge.py", "tests/sync/test_blobs.py",
               *(f"tests/desk/test_{subject}.py" for subject in (
                   "counted_days", "holds", "key_files", "policy", "purges", "restored_keys",
               ))),
    ),
    "alerts": Room(  # matches, visits, the board and the login in the car
        modules=tuple(f"firmware/alerts/{name}.py" for name in (
            "agreement", "board", "cleared", "episodes", "likelihood", "logon_guard", "matching", "recorded",
            "sessions", "watch",
        )),
        tests=tuple(f"tests/alerts/test_{subject}.py" for subject in (
            "alert_bounds", "board", "board_lists", "board_histories", "cases_in_car", "early", "episodes",
            "likelihood", "logon_guard", "logon_steps", "matching", "page_strangers", "set_back",
            "watch_steps",
        )),
    ),
    "lists": Room(  # hot lists from their source to the car, and the department's own
        modules=("sync/hot_lists/*.py", "sync/department/units/hot_lists.py",
                 "sync/department/units/outgoing_list.py", "sync/department/desk/documents/l*.py",
                 "sync/department/desk/documents/own_entries.py"),
        without=("sync/hot_lists/__init__.py",),
        tests=("tests/hot_lists/test_*.py", "tests/alerts/test_matching.py",
               *(f"tests/desk/test_{subject}.py" for subject in (
                   "hot_lists", "local_lists", "lists_set_back", "own_entries", "own_list_races",
                   "own_proposals",
               ))),
    ),
    "proofs": Room(  # who acted, by which key, over which log: at the key service, the witness, the login
        modules=("sync/root_file.py", *(f"sync/department/{name}.py" for name in (
            "content/followed_log", "content/key_guard", "content/opened_list", "content/proven_door",
            "journal/made_by", "journal/passkeys", "journal/proven_uses", "journal/publisher",
            "journal/second_hands", "journal/signed_forms", "journal/signed_roster", "journal/signers",
            "journal/statements", "journal/witness", "desk/logons", "desk/sessions", "server/unit_office",
        ))),
        tests=("tests/desk/test_attack_*.py",
               *(f"tests/desk/test_{subject}.py" for subject in (
                   "followed_log", "forged_proofs", "fresh_proof", "guard_bounds", "guard_calls",
                   "guarded_keys", "heads", "hourly",
                   "held_check", "office", "one_hand", "passkey_proofs", "passkeys", "person_keys",
                   "root_file", "second_person", "unit_office", "witness",
               ))),
    ),
}  # fmt: skip
