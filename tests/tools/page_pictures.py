"""Takes the pictures of the desk's pages in chromium: sync/department/pages/pictures.

python -m tests.tools.page_pictures [FOLDER]
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "twins"))

from desk_cars import Car  # noqa: E402
from desk_twins import Department, found_department, open_copy  # noqa: E402
from page_browser import Window, Windows, windows  # noqa: E402
from page_reader import WHY  # noqa: E402
from waiting import until  # noqa: E402

from storage.times import DAY_US, MINUTE_US  # noqa: E402
from sync.department.store.opening import open_store  # noqa: E402
from sync.department.store.tables import units  # noqa: E402

FOLDER = ROOT / "sync" / "department" / "pages" / "pictures"
QUALITY = 45
TALLEST = 1500
LOADED = "[...document.images].every((one) => one.complete && one.naturalWidth)"


def take(window: Window, folder: Path, name: str) -> None:
    """Save the whole page as WebP, once its pictures are loaded."""
    # polled from outside: the page's content security policy refuses the script of a wait inside it
    until(lambda: window.page.evaluate(LOADED))
    shot = Image.open(io.BytesIO(window.page.screenshot(full_page=True))).convert("RGB")
    shot.crop((0, 0, shot.width, min(shot.height, TALLEST))).save(
        folder / f"{name}.webp", quality=QUALITY, method=6
    )


def fill(window: Window, **fields: str) -> None:
    """Type into the page's fields."""
    for name, value in fields.items():
        field = window.page.locator(f"#{name}")
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def take_office(desk: Windows, folder: Path) -> None:
    """Take the pages of the administrator and of the supervisor."""
    office = desk.open()
    office.logon("chief")
    take(office, folder, "home-administrator")
    for name in (
        "setup",
        "people",
        "training",
        "sharing",
        "units",
        "compliance",
        "calendar?month=2027-09",
        "policy",
        "transparency",
    ):
        office.go(f"/{name}")
        take(office, folder, name.partition("?")[0])
    supervisor = desk.open()
    supervisor.logon("super")
    for name in ("holds", "audit", "filing", "hotlists", "changes"):
        supervisor.go(f"/{name}")
        take(supervisor, folder, name)
    supervisor.page.emulate_media(media="print")
    for path, name in (("/training/sheet", "sign-in-sheet"), ("/redress/paper", "redress-paper")):
        supervisor.go(path)
        take(supervisor, folder, name)


def hear_units(department: Department) -> None:
    """Set when each unit was last seen, one lately and one long ago: twins deliver without a server."""
    store, now_us = open_store(department.home.database_url), department.clock.us
    with store.write() as connection:
        for name, ago_us in (("car-7", 12 * DAY_US), ("car-8", 5 * MINUTE_US)):
            unit = sa.update(units).where(units.c.name == name)
            connection.execute(unit.values(seen_us=now_us - ago_us))
    store.close()


def main(folder: Path = FOLDER) -> int:
    """Found a department, walk through its pages, save their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        founded = found_department(Path(made) / "first")
        shutil.copytree(founded, Path(made) / "copy")
        department = open_copy(Path(made) / "copy")
        car = Car(department)
        car.raises()
        hear_units(department)
        try:
            with windows(department) as desk:
                one = desk.open()
                one.go("/logon")
                take(one, folder, "log-on")
                one.logon("disp1")
                take(one, folder, "home")
                one.go("/search")
                fill(one, **WHY, plate="8XYZ123")
                take(one, folder, "search")
                one.page.locator("button[value=run]").click()
                one.page.locator("button", has_text="Open picture").first.click()
                one.page.locator("img.patch").wait_for()
                take(one, folder, "results")
                one.go("/alerts")
                one.page.locator("#live", has_text="Live").wait_for()
                take(one, folder, "alerts")
                one.page.locator("table a").first.click()
                one.page.locator("button[value=show]").click()
                take(one, folder, "alert-picture")
                fill(one, plate="7XKR279", state="CA")
                one.page.keyboard.press("Enter")
                one.page.locator("table.slots").wait_for()
                take(one, folder, "alert-compared")
                one.page.keyboard.press("y")
                one.page.locator(".banner.refused").wait_for()
                one.go("/emergency")
                take(one, folder, "emergency")
                take_office(desk, folder)
                night = desk.open(color_scheme="dark")
                night.logon("super")
                take(night, folder, "home-night")
                night.go("/queue")
                take(night, folder, "queue-night")
        finally:
            car.unit.close()
            department.close()
    for picture in sorted(folder.glob("*.webp")):
        print(f"{picture.stat().st_size:8} {picture.name}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pictures of the desk's pages, as chromium shows them.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, metavar="FOLDER")
    sys.exit(main(parser.parse_args().folder))
