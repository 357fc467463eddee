"""Builds the list of extras of the unit's wheel; hatchling calls it (pyproject.toml).

The tree has two distributions. `alpr-reader` (pyproject.toml) is a unit, without any department code;
`alpr-department` (sync/department/pyproject.toml) is that code. The extra `department` requires the second:
from this tree if there is one, so that `pip install '.[department]'` installs both from the same state, or by
version from an index. ALPR_EXTRAS chooses: `released` for a wheel to publish, `libraries` for the lock files.
"""

from __future__ import annotations

import os
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

DEPARTMENT = "sync/department"


class Extras(MetadataHookInterface):
    """[tool.hatch.metadata.hooks.custom.extras], and `alpr-department` in the extra `department`."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add `optional-dependencies`. Raises ValueError if ALPR_EXTRAS is unknown."""
        extras = {name: list(needs) for name, needs in self.config["extras"].items()}
        extras["department"] += self._department(str(metadata["version"]))
        metadata["optional-dependencies"] = extras

    def _department(self, version: str) -> list[str]:
        choice = os.environ.get("ALPR_EXTRAS", "")
        if choice not in {"", "released", "libraries"}:
            raise ValueError(f"ALPR_EXTRAS={choice}: released, libraries, or nothing")
        if choice == "libraries":
            return []
        folder = Path(self.root) / DEPARTMENT
        if choice == "" and (folder / "pyproject.toml").is_file():
            return [f"alpr-department @ {folder.as_uri()}"]
        return [f"alpr-department=={version}"]
