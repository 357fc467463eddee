"""`department serve`: run the receiver, the enrollment and the desk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator

import structlog
from starlette.routing import BaseRoute

from sync.command_frame import Common, verb
from sync.department.desk import api
from sync.department.desk.calling import Calling
from sync.department.desk.context import DeskContext
from sync.department.ground.home import DepartmentHome
from sync.department.journal.witness_link import link_of
from sync.department.pages import app as pages
from sync.department.pages import street_map
from sync.department.policy.named_files import signed_policy
from sync.department.server import daily, hourly, server
from sync.department.server.images_reach import ImagesReach
from sync.department.server.keys_traces import demand_keys
from sync.department.server.notify import ways_of, ways_to_administrators
from sync.department.server.open_desk import front_of
from sync.department.server.server import Department
from sync.errors import DONE

log_events = structlog.get_logger("department.server")


@verb("serve", example="department serve --home /srv/alpr")
def serve(common: Common) -> int:
    """Run the department's server until Ctrl-C or SIGTERM.

    Events go to stderr as JSON lines, never with a plate.
    """
    home = DepartmentHome.open(common.home)
    with started(home) as (department, front):
        images = ImagesReach(department.store, department.packs)
        asking = threading.Thread(target=images.say, name="images", daemon=True)  # a store may take a minute

        def ready(unit_port: int, desk_port: int) -> None:
            asking.start()
            if common.json:
                print(json.dumps({"unit_port": unit_port, "desk_port": desk_port}), flush=True)
            else:
                print(
                    f"units: port {unit_port}; desk and enrollment: port {desk_port}; Ctrl-C stops",
                    flush=True,
                )

        asyncio.run(
            server.serve(
                department,
                _routes(front, _map_of(home.settings.map_file)),
                ready,
                lambda: _daily(front, department),
                lambda: _hourly(front),
                ask_time=lambda: _ask_time(front),
            )
        )
        if asking.is_alive():  # it uses the database, which now closes
            asking.join(1)
    return DONE


@contextlib.contextmanager
def started(home: DepartmentHome) -> Iterator[tuple[Department, DeskContext | None]]:
    """Open everything that a home's server needs, and its desk, if it has one.

    Raises HomeError if a file is gone that nothing replaces.
    """
    signed_policy(home)  # without it and the root file nothing is purged, and no profile applies
    with home.locked():
        department = Department(home)
        try:
            department.store.demand_own()
            demand_keys(home, department.store, department.time())
            front = front_of(department)
            try:
                yield department, front
            finally:
                if front is not None:
                    front.close()
        finally:
            department.close()


def _map_of(name: str) -> street_map.StreetMap | None:
    """Open the map of the settings. A bad file costs the map, not the desk."""
    try:
        return street_map.opened(name)
    except street_map.MapError as error:
        log_events.warning("map_not_used", reason=str(error))
        return None


def _routes(front: DeskContext | None, streets: street_map.StreetMap | None) -> list[BaseRoute]:
    """The desk's routes for programs and for browsers, which share their limits."""
    calling = Calling(front) if front is not None else None
    return [*api.routes(front, calling), *pages.routes(calling, street_map=streets)]


def _hourly(front: DeskContext | None) -> None:
    if front is not None:
        fips = front.desk.policy.security.approved
        hourly.run(front.desk, lambda one: link_of(one.url, approved=fips))
        front.ask_peers()


def _ask_time(front: DeskContext | None) -> None:
    if front is not None:
        front.desk.ask_time()


def _daily(front: DeskContext | None, department: Department) -> None:
    if front is not None:
        settings = department.home.settings
        daily.run(front, department.retention, ways_of(settings), ways_to_administrators(settings))
