"""`department controls`: the CJIS control table with the current figures."""

from __future__ import annotations

import json
import ssl

from sync.command_frame import Common, verb
from sync.department.content.key_remote import address_of
from sync.department.desk.json_forms import to_json
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import suites_beyond
from sync.department.journal.witness_link import FOLDER_SCHEME
from sync.department.policy.controls import Facts, table
from sync.department.server.open_desk import open_desk
from sync.errors import DONE


@verb("controls", example="department controls --home /srv/alpr")
def controls(common: Common) -> int:
    """Print each CJIS control, its requirement, the current figure and what is missing."""
    home = DepartmentHome.open(common.home)
    desk = open_desk(home)
    try:
        facts = Facts(
            keys_elsewhere=address_of(home) is not None,
            witness_here=any(one.url.startswith(FOLDER_SCHEME) for one in desk.root.witnesses),
            database=home.database_url.partition(":")[0],
            tls_beyond=suites_beyond(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
        )
        rows = table(desk.policy, desk.root, facts)
    finally:
        desk.close()
    for row in rows:
        if common.json:
            print(json.dumps(to_json(row)))
        else:
            print(f"{row.control:11} {row.asks}: {row.in_force}")
            if row.gap:
                print(f"{'':11} LACKS: {row.gap}")
    return DONE
