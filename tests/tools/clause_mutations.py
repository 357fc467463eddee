"""Breaks what enforces each clause, one place at a time, and checks that the named test fails.

    .venv/bin/python tests/tools/clause_mutations.py [CLAUSE ...]

It works on a copy of the tree. Clauses, such as 463.9, limit it to their rows and those of their parts. It
prints a line per mutation and exits with 1 if one survives, or if an enforced row of `department clauses` has
none.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sync.department.policy.clauses import clause_rows  # noqa: E402

ROOMS = ("hw", "detector", "storage", "sync", "firmware", "tests")


@dataclass(frozen=True)
class Break:
    """`clauses`: the rows whose test must fail after `new` replaces `old` in the department's `file`."""

    clauses: tuple[str, ...]
    file: str
    old: str
    new: str


BREAKS = (
    Break(
        ("463.1",),
        "content/key_guard.py",
        "if not good or log_id != self._log_id or not isinstance",
        "if False and not isinstance",
    ),
    Break(("463.2",), "desk/inquiry/rules.py", "if policy.purpose(ground.purpose) is None:", "if False:"),
    Break(("463.2",), "desk/inquiry/rules.py", "if policy.purpose(ground.purpose) is None:", "if True:"),
    Break(("463.3",), "desk/desk.py", "if CALLS[call].touches_data:", "if False:"),
    Break(
        ("463.3",),
        "desk/desk.py",
        "if Role.VENDOR in roles and call is not Call.POLICY_READ:",
        "if False:",
    ),
    Break(("463.4",), "desk/compliance.py", "if now_us < due_us:", "if True:"),
    Break(("463.5",), "journal/check_log.py", "elif tree.root(head.size) != head.root:", "elif False:"),
    Break(("463.5",), "desk/desk.py", "if not 0 <= away_us < grace * MINUTE_US:", "if False:"),
    Break(
        ("463.5 (a)",),
        "desk/inquiry/rules.py",
        "if ground.basis not in bases:",
        "if False:",
    ),
    Break(
        ("463.5 (a)",),
        "desk/inquiry/rules.py",
        "elif not is_number(policy, ground.number, ground.number_kind):",
        "elif False:",
    ),
    Break(
        ("463.5 (a)",),
        "desk/inquiry/rules.py",
        "if not policy.inquiry.says_why(ground.justification):",
        "if False:",
    ),
    Break(("463.5 (b)",), "desk/audit/rules.py", "rms_number=NOT_FILED", 'rms_number="RMS-1"'),
    Break(("463.5 (b)", "463.5 (b) 1"), "desk/desk.py", "at_us=self.at_us,\n            user=self.user",
          "at_us=1,\n            user=self.user"),
    Break(("463.5 (b) 2",), "journal/inquiry_entries.py",
          'return f"plate={self.plate or', 'return f"plate={None or'),
    Break(("463.5 (b) 3",), "desk/desk.py", "user=self.user,\n            role=self.role.value",
          'user="somebody",\n            role=self.role.value'),
    Break(("463.5 (b) 4",), "desk/inquiry/searching.py",
          "plate=query.plate,\n        ground=ground",
          "plate=query.plate,\n        ground=replace(ground, purpose='')"),
    Break(("463.5 (c)",), "desk/audit/calls.py", "return [*opened, done], list", "return [done], list"),
    Break(("463.5 (c)",), "policy/policy.py", "if call in grants.get(role, frozenset()):", "if True:"),
    Break(("463.6",), "desk/sharing/rules.py", "if state != terms.home_state:", "if False:"),
    Break(("463.6 (a)", "463.6 (a) 1", "463.6 (a) 2", "463.6 (a) 3"), "desk/sharing/rules.py",
          "given = weight(getattr(request, name))", "given = 1"),
    Break(("463.6 (b)",), "desk/sharing/rules.py", "if number not in shares.reviewed:", "if False:"),
    Break(("463.6 (c)",), "desk/sharing/calls.py", "letter=form.letter,", 'letter=b"lost",'),
    Break(("463.6 (d)",), "desk/sharing/rules.py", "return sum(", "return 0 * sum("),
    Break(
        ("463.6",),
        "desk/sharing/rules.py",
        "return kind not in {*policy",
        "return False and kind not in {*policy",
    ),
    Break(
        ("463.7",),
        "desk/alerts/calls.py",
        "step = _step(caller, kind, fit=step.fit, answer=verdict_of(typed, step.fit, wanted))",
        "step = _step(caller, kind, fit=step.fit, answer=AlertAnswer.CANNOT_TELL)",
    ),
    Break(
        ("463.7",),
        "desk/alerts/calls.py",
        "        _demand(row, step, wanted)\n        after",
        "        after",
    ),
    Break(
        ("463.7",),
        "desk/alerts/rules.py",
        "if due_us is not None and now_us >= due_us:",
        "if due_us is None:",
    ),
    Break(("463.8",), "server/machine_due.py", "if moment_us >= end_us + DAY_US:", "if False:"),
    Break(("463.8",), "content/read_store.py", "first_day = max(first_day, query.since_us // DAY_US)",
          "first_day = 1 << 40"),
    Break(("463.8",), "policy/system_terms.py", "return (day + 1 + keep_days) * DAY_US",
          "return (day + keep_days) * DAY_US"),
    Break(("463.8",), "server/retention.py",
          "free = 0 if self._purged_since(now - PACE_US) else 1", "free = 0"),
    Break(("463.8",), "desk/holds/rules.py", "if asked == second:", "if False:"),
    Break(("463.9",), "desk/people/training.py", "if record.user == recorder:", "if False:"),
    Break(("463.9 (a)", "463.9 (b)", "463.9 (c)"), "desk/people/training.py",
          "missing = [topic for topic in terms.topics if topic.id not in record.topics]", "missing = []"),
)  # fmt: skip


def tests_of(clauses: tuple[str, ...]) -> set[str]:
    return {row.test for row in clause_rows() if row.clause in clauses and row.test}


def failed(copy: Path, tests: set[str]) -> set[str]:
    """The tests among these (file::name) that fail in the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
    names = [f"tests/{one}" for one in sorted(tests)]
    done = subprocess.run([*command, *names], cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    found = re.findall(r"^(?:FAILED|ERROR) tests/([^\s\[]+)", done.stdout, re.MULTILINE)
    return set(found) & tests


def main(chosen: tuple[str, ...]) -> int:
    """Break each place in turn; returns 1 if no test notices a break. `chosen`: clauses; empty for all."""
    whole, proven = 0, set[str]()
    wanted = tuple(f"{clause} " for clause in chosen)

    def is_chosen(clause: str) -> bool:
        return not wanted or f"{clause} ".startswith(wanted)

    breaks = [one for one in BREAKS if any(is_chosen(clause) for clause in one.clauses)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for room in ROOMS:
            ignore = shutil.ignore_patterns("__pycache__", "*.tflite", "training")
            shutil.copytree(ROOT / room, copy / room, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", copy)
        for one in breaks:
            path = copy / "sync" / "department" / one.file
            text = path.read_text()
            if text.count(one.old) != 1:
                raise SystemExit(f"{one.file}: {text.count(one.old)} places read {one.old!r}")
            path.write_text(text.replace(one.old, one.new))
            found = failed(copy, tests_of(one.clauses))
            path.write_text(text)
            proven |= found
            whole += not found
            verdict = f"{len(found)} named tests fail" if found else "SURVIVES"
            print(f"{verdict:22} {', '.join(one.clauses):12} {one.file}: {one.old.strip()[:60]}", flush=True)
    named = {row.test for row in clause_rows() if row.test and is_chosen(row.clause)}
    proven &= named
    for test in sorted(named - proven):
        print(f"no mutation made it fail: {test}")
    seen = len(breaks) - whole
    print(f"{seen} of {len(breaks)} breaks seen; {len(named & proven)} of {len(named)} named tests failed")
    return 1 if whole or named - proven else 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
