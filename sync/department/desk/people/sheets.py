"""Lists of people as offices keep them: CSV of the roster, sign-in sheet of a class. No I/O."""

from __future__ import annotations

import csv
import io

from storage.errors import RecordError
from sync.department.desk.people.rules import NEW_USER_NAME, parse_roles
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role

CLAUSE = "463.3"
MAX_ROWS = 2000


def _rows(data: bytes, *wanted: str) -> list[tuple[int, dict[str, str]]]:
    """(line, cells) of a CSV file with these columns. Raises FormError."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        missing = [name for name in wanted if name not in (reader.fieldnames or ())]
        rows = [
            (reader.line_num, {name: (row.get(name) or "").strip() for name in reader.fieldnames or ()})
            for row in reader
        ]
    except (UnicodeDecodeError, csv.Error):
        raise FormError("the list is not a CSV file in UTF-8", code="csv", clause=CLAUSE) from None
    if missing:
        raise FormError(f"the list's first line lacks a column: {missing[0]}", code="csv", clause=CLAUSE)
    if not 0 < len(rows) <= MAX_ROWS:
        raise FormError(f"a list has 1 to {MAX_ROWS} lines", code="csv", clause=CLAUSE)
    return rows


def read_sign_in(data: bytes) -> tuple[str, ...]:
    """The users of a sign-in sheet: a column `user`; where there is a column `signed`, those with a mark in
    it. Raises FormError naming the line."""
    users = []
    for line, row in _rows(data, "user"):
        if not row.get("signed", "x"):
            continue
        if not NEW_USER_NAME.fullmatch(row["user"]):
            raise FormError(f"line {line}: that is not a user name", code="csv", clause=CLAUSE)
        users.append(row["user"])
    if not users:
        raise FormError(
            "no line of the sheet has something in the column signed",
            code="csv",
            clause=CLAUSE,
            cure="put an x there for each person who signed",
        )
    return tuple(users)


def read_people(data: bytes) -> tuple[tuple[str, str, tuple[Role, ...]], ...]:
    """(user, name, roles) of a list of people: columns `user`, `name`, `roles` (separated by blanks or
    semicolons). Raises FormError naming the line."""
    people = []
    for line, row in _rows(data, "user", "name", "roles"):
        try:
            roles = parse_roles(",".join(row["roles"].replace(";", " ").split()))
        except RecordError:
            raise FormError(f"line {line}: a role is unknown", code="csv", clause=CLAUSE) from None
        if not NEW_USER_NAME.fullmatch(row["user"]) or not row["name"] or not roles:
            raise FormError(f"line {line}: needs user, name and roles", code="csv", clause=CLAUSE)
        people.append((row["user"], row["name"], roles))
    return tuple(people)
