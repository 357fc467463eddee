"""The table of clauses has every binding sentence of the policy, each with a test that exists."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from sync.department.cli import main
from sync.department.policy.clauses import NOT_ENFORCED, clause_rows
from tests.tools.clause_mutations import BREAKS

TESTS = Path(__file__).resolve().parent.parent
BINDS = re.compile(
    r"\b(shall|will|should|only|must|responsible|permitted|restricted|may|agrees?|important|allowed)\b"
)


def test_each_named_test_exists() -> None:
    known: dict[str, set[str]] = {}
    for row in clause_rows():
        if not row.test:
            assert row.state == NOT_ENFORCED
            continue
        file, _, name = row.test.partition("::")
        if file not in known:
            tree = ast.parse((TESTS / file).read_text())
            known[file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in known[file], row.test


def test_every_sentence_is_enforced() -> None:
    assert [row.sentence for row in clause_rows() if not row.test] == []
    assert {row.clause.split()[0] for row in clause_rows()} == {f"463.{n}" for n in range(1, 10)}


def test_every_sentence_of_the_text_that_binds_is_in_the_table() -> None:
    path = Path(os.environ.get("ALPR_POLICY", TESTS.parent.parent / "shared" / "policy-463.txt"))
    if not path.is_file():
        pytest.skip(f"the policy's text is not at {path}: set ALPR_POLICY")
    text = " ".join(line for line in path.read_text().splitlines() if not _heading(line))
    sentences = [row.sentence for row in clause_rows()]
    flat = " ".join(re.sub(r"[(][a-d][)] | - |\b[1-4]\. ", " ", text).split())
    for sentence in sentences:
        assert " ".join(sentence.split()) in flat, sentence
    left = flat
    for sentence in sentences:
        left = left.replace(" ".join(sentence.split()), " ")
    unnamed = [one for one in re.split(r"(?<=[.:])\s+", left) if BINDS.search(one)]
    assert _only_facts(unnamed), unnamed


def _only_facts(unnamed: list[str]) -> bool:
    """Whether the rest binds no one: the reason that 463.7 gives, or the heading of the topics."""
    facts = ("Several factors may affect", "Training will consist of")
    return all(one.startswith(facts) or not re.search(r"\b(shall|should|must)\b", one) for one in unnamed)


def _heading(line: str) -> bool:
    return line.strip() in {
        "Monrovia Police Department",
        "Policy Manual",
        "Automated License Plate Reader Privacy and Usage",
    }


def test_the_table_in_the_docs_is_the_one_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clauses", "--markdown"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == len(clause_rows()) + 2
    assert (TESTS.parent / "sync" / "department" / "policy" / "README.md").read_text().endswith(printed)


def test_each_clause_has_a_place_whose_breaking_the_mutation_run_knows() -> None:
    """The mutation run itself takes minutes: python tests/tools/clause_mutations.py."""
    for one in BREAKS:
        text = (TESTS.parent / "sync" / "department" / one.file).read_text()
        assert text.count(one.old) == 1, (one.file, one.old)
    broken = {clause for one in BREAKS for clause in one.clauses}
    assert {row.clause for row in clause_rows() if row.test} <= broken
