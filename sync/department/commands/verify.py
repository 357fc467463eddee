"""`department verify`: check the store."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from storage.counts import counted
from storage.errors import StorageError
from sync.command_frame import Common, verb
from sync.department.commands import verify_log
from sync.department.commands.verify_input import VerifyInput, stranger_options
from sync.department.commands.verify_words import shown
from sync.department.content.key_service import KEEP_DAYS
from sync.department.ground.home import DepartmentHome, examined
from sync.department.policy.named_files import COMMAND, root_in
from sync.department.server.asked_keys import AskedKeys
from sync.department.server.keys_traces import demand_keys
from sync.department.server.purged_since import PurgedSince
from sync.department.server.retention import keep_days_of
from sync.department.server.server import Department
from sync.department.server.verify import Checker, StoreReport
from sync.department.units.hot_lists import damaged
from sync.department.units.list_seal import unsealing
from sync.errors import DONE, FOUND_WRONG, PART_LACKING, HomeError


@verb("verify", example="department verify --home /srv/alpr")
@stranger_options
@click.option("--quick", is_flag=True, help="Check only signatures and trees, no content.")
def verify(common: Common, *, given: VerifyInput, quick: bool) -> int:
    """Check the store, or with PACKAGE or --log the files that a stranger received. Checks every leaf and
    its signature, every tree against the co-signed checkpoints, every receipt, every element against its
    commitment, and the search token of every read; a missing element needs a purge receipt. What was counted
    into the access log must be in the store. Checks the content of every open hold against its
    entries. Changes nothing. PACKAGE is an evidence package (ZIP), checked with --key; or an auditor's
    bundle, with --key and --witness-key.
    """
    if given.package is not None or given.log is not None:
        return verify_log.check_given(common, given)
    with examined(common.home) as home:
        return _verify_home(common, home, given, quick=quick)


def _verify_home(common: Common, home: DepartmentHome, given: VerifyInput, *, quick: bool) -> int:
    department = Department(home, changes=False)
    try:
        public = home.log_key().public_key()
        purged = PurgedSince(department.store, _keep_days(home), department.time).has
        keys = AskedKeys(department.keys, purged)
        checker = Checker(
            *(department.store, keys, department.packs, public, unsealing(home)),
            command=_command_of(home),
            now_us=department.time,
            purged=purged,
        )
        until = verify_log.entries_now(home)
        report = checker.run(content=not quick)
        try:
            demand_keys(home, department.store, department.time())
        except HomeError as error:
            report.wrong(str(error))
        for what in () if quick else damaged(home):
            report.wrong(what)
        report.unchecked += keys.take_unchecked()
        store = _report(common, report, whole=keys.away is None)
        log = verify_log.check_home(
            common,
            home,
            given.checkpoint,
            report.reported,
            None if quick else keys,
            store=department.store,
            until=until,
        )
        return verify_log.worst(store, log, DONE if keys.away is None else PART_LACKING)
    finally:
        department.close()


def _command_of(home: DepartmentHome) -> bytes | None:
    try:
        return root_in(home).other(COMMAND)
    except (HomeError, OSError):
        return None  # the file is reported with the log


def _keep_days(home: DepartmentHome) -> int:
    try:
        return keep_days_of(home)
    except (HomeError, StorageError, OSError):
        return KEEP_DAYS  # the file is reported with the log


def _report(common: Common, report: StoreReport, *, whole: bool) -> int:
    if common.json:
        print(json.dumps({name: one for name, one in asdict(report).items() if name != "reported"}))
    else:
        kinds = ("log", "record", "element", "receipt", "purged day")
        counts = (report.logs, report.records, report.elements, report.receipts, report.purged_days)
        print(*map(counted, counts, kinds), f"{report.given_up:,} given up", sep=", ")
        for problem in report.problems:
            print(f"WRONG {shown(problem)}")
        for what in report.unchecked:
            print(f"not checked: {shown(what)}")
        found = counted(len(report.problems), "problem")
        sound = "the store verifies" if whole else "nothing is wrong with what was checked"
        print(f"{found} found" if report.problems else sound)
    return FOUND_WRONG if report.problems else DONE
