"""Reads the lists of people that offices keep: CSV of a roster, sign-in sheet of a class. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from storage.errors import RecordError
from sync.department.desk.csv_table import CsvTable
from sync.department.desk.people.rules import NEW_USER_NAME, parse_roles
from sync.department.policy.refusals import MAX_NAMED, refuse_lines
from sync.department.policy.roles import Role

CLAUSE = "463.3"
MAX_ROWS = 2000
USER_CURE = "small letters without accents, digits, . and -"


TABLE = CsvTable("list", CLAUSE)
_wrong = TABLE.wrong


def _rows(data: bytes, *wanted: str) -> list[tuple[int, dict[str, str]]]:
    """(line, cells) of each row of a CSV file with these columns, in any case. Raises FormError."""
    names, lines = TABLE.lines(data, *wanted)
    TABLE.demand(names, *wanted)
    TABLE.demand_whole(data, names, *wanted)
    rows = [(at, dict(zip(names, cells, strict=True))) for at, cells in lines]
    if not 0 < len(rows) <= MAX_ROWS:
        raise _wrong(
            f"the list has {len(rows):,} lines; it may have 1 to {MAX_ROWS:,}", "divide a longer one"
        )
    return rows


def read_sign_in(data: bytes) -> tuple[str, ...]:
    """The users in the column `user` of a sign-in sheet. Raises FormError naming the line.

    If there is a column `signed`, only those with a mark in it.
    """
    users, wrong = [], []
    for line, row in _rows(data, "user"):
        if not row.get("signed", "x"):
            continue
        if not NEW_USER_NAME.fullmatch(row["user"]):
            wrong.append(_wrong(f"line {line}: that is not a user name", USER_CURE))
        users.append(row["user"])
    refuse_lines(wrong)
    if not users:
        cure = "put an x there for each person who signed"
        raise _wrong("the column signed is empty in every line of the sheet", cure)
    return tuple(users)


def read_people(data: bytes) -> tuple[tuple[str, str, tuple[Role, ...]], ...]:
    """(user, name, roles) of each person in a list. Raises FormError naming the line.

    Its columns are `user`, `name` and `roles`, which blanks or semicolons separate.
    """
    people, wrong = [], []
    for line, row in _rows(data, "user", "name", "roles"):
        try:
            roles = parse_roles(",".join(row["roles"].replace(";", " ").split()))
        except RecordError as error:
            wrong.append(_wrong(f"line {line}: {error.what}", f"the roles are {', '.join(Role)}"))
            continue
        if not row["user"] or not row["name"] or not roles:
            wrong.append(_wrong(f"line {line}: needs user, name and roles", "fill in all three"))
        elif not NEW_USER_NAME.fullmatch(row["user"]):
            wrong.append(_wrong(f"line {line}: that is not a user name", USER_CURE))
        people.append((row["user"], row["name"], roles))
    refuse_lines(wrong)
    return tuple(people)


def named_twice(users: Sequence[str]) -> str:
    """The users that a list names more than once, for a refusal; empty if there is none."""
    return ", ".join(sorted(user for user, times in Counter(users).items() if times > 1)[:MAX_NAMED])
