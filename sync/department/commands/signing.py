"""Signs a document by a person's call, for `send`. Not a command."""

from __future__ import annotations

import json

from storage.times import now_us
from sync.department.commands.desk_access import Terminal, has_desk, wait_words
from sync.department.desk.documents.calls import Signed, SignForm, check, name_of
from sync.department.desk.documents.updates import UpdateTrust
from sync.department.ground.home import DepartmentHome
from sync.department.policy.refusals import FormError
from sync.department.server.server import Department
from sync.department.units import documents
from sync.errors import DONE, InvalidInputError


def sign(terminal: Terminal, form: SignForm) -> int:
    """Sign a document at the desk; before the first administrator, with the command key."""
    if has_desk(terminal.common):
        made: Signed = terminal.call("document/sign", form)
    else:
        made = _sign_alone(DepartmentHome.open(terminal.common.home), form)
    facts = {"name": made.name, "version": made.version, "sha256": made.digest, "proposal": made.proposal}
    words = f"sent: {made.name}, version {made.version}, SHA-256 {made.digest}"
    if made.proposal >= 0:
        words = f"{made.name}, SHA-256 {made.digest}: {wait_words(made.proposal)}"
    print(json.dumps(facts) if terminal.common.json else words)
    return DONE


def _sign_alone(home: DepartmentHome, form: SignForm) -> Signed:
    try:
        name, now = name_of(form), now_us()
        check(form, lambda: UpdateTrust.of(home.path))
    except FormError as error:
        raise InvalidInputError(error.what, cure=error.cure) from None
    department = Department(home)
    try:
        version = documents.send(home, department.store, name, form.body, now, form.unit)
    finally:
        department.close()
    return Signed(entry=-1, name=name, version=version, digest=form.digest)
