"""The desk reports a store of images that lost its content before a person asks for a picture."""

from __future__ import annotations

from pathlib import Path

from receiver_twins import Joined
from structlog.testing import capture_logs
from sync_twins import converse

from sync.department.server.images_reach import ImagesReach
from sync.department.server.keys_reach import EVERY_S
from sync.department.server.server import Department
from sync.department.store.blobs import FolderPacks
from sync.errors import StoreError


def test_a_disk_of_images_that_is_not_mounted_is_overdue_until_it_is_back(
    department: Department, unit: Joined
) -> None:
    seconds = [0.0]
    reach = ImagesReach(department.store, department.packs, lambda: seconds[0])
    assert reach.overdue() == []  # nothing stored yet
    unit.add(1, size=20_000)  # smaller ones are stored as rows
    assert converse(unit, department).done
    blobs = department.home.blobs
    away = blobs.rename(blobs.with_name("elsewhere"))
    FolderPacks(blobs)  # as a start does if the disk is not mounted
    assert reach.overdue() == []  # asked less than a minute ago
    seconds[0] += EVERY_S
    (late,) = reach.overdue()
    assert "a pack of images is missing" in late.what
    assert "blobs_folder" in late.what
    blobs.rmdir()
    away.rename(blobs)
    seconds[0] += EVERY_S
    assert reach.overdue() == []


class Refusing(FolderPacks):
    """A bucket that refuses our credentials."""

    def names(self, day: int) -> set[str]:
        raise StoreError("the store does not answer: NoCredentialsError", where=f"s3://bucket/{day}")


def test_a_store_that_lets_no_one_in_is_named_before_it_holds_an_image(
    department: Department, tmp_path: Path
) -> None:
    with capture_logs() as said:
        ImagesReach(department.store, Refusing(tmp_path)).say()
        ImagesReach(department.store, FolderPacks(tmp_path / "new")).say()
    assert [one["event"] for one in said] == ["images_not_reached"]
    assert "NoCredentialsError" in said[0]["reason"]
