"""Lists what is in a root: the components in CycloneDX 1.6, and their licenses.

https://cyclonedx.org/docs/1.6/json/ - without times and random serial numbers, so that two builds give one
file.
"""

from __future__ import annotations

import email.parser
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from alpr_image.workshop import SUITE


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Component:
    """One package, library or model. licenses: the names that the authors use."""

    kind: str
    name: str
    version: str
    purl: str
    licenses: tuple[str, ...]
    sha256: str = ""

    def plain(self) -> dict[str, object]:
        """The component in CycloneDX's form."""
        held: dict[str, object] = {
            "type": self.kind,
            "bom-ref": self.purl,
            "name": self.name,
            "version": self.version,
            "purl": self.purl,
        }
        if self.licenses:
            held["licenses"] = [{"license": {"name": one}} for one in self.licenses]
        if self.sha256:
            held["hashes"] = [{"alg": "SHA-256", "content": self.sha256}]
        return held


def debian(tree: Path) -> Iterator[Component]:
    """Yield packages from dpkg's database, with licenses from their machine-readable copyright files."""
    text = (tree / "var/lib/dpkg/status").read_text(encoding="utf-8")
    for stanza in text.strip().split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][A-Za-z-]*): (.*)$", stanza, re.MULTILINE))
        name, version, arch = fields["Package"], fields["Version"], fields["Architecture"]
        yield Component(
            kind="library",
            name=name,
            version=version,
            purl=f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={arch}&distro={SUITE}",
            licenses=_copyright(tree / "usr/share/doc" / name / "copyright"),
        )


def _copyright(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    found = re.findall(
        r"^License: *(\S.*)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
    )
    return tuple(sorted({" ".join(one.split())[:80] for one in found}))


def python(folder: Path) -> Iterator[Component]:
    """Yield libraries from each distribution's METADATA."""
    for path in sorted(folder.glob("*.dist-info/METADATA")):
        held = email.parser.Parser().parsestr(path.read_text(encoding="utf-8"), headersonly=True)
        name, version = str(held["Name"]), str(held["Version"])
        license_text = held["License-Expression"] or held["License"] or ""
        classified = [
            one.rpartition(":: ")[2] for one in held.get_all("Classifier", []) if "License ::" in one
        ]
        lines = [line for line in str(license_text).strip().splitlines() if line.strip()]
        licenses = tuple(one.strip()[:80] for one in lines[:1]) or tuple(sorted(set(classified)))
        yield Component(
            kind="library",
            name=name,
            version=version,
            purl=f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}",
            licenses=licenses,
        )


def models(folder: Path) -> Iterator[Component]:
    """Yield the nets, by digest."""
    for path in sorted(folder.rglob("*.tflite")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield Component(
            kind="machine-learning-model",
            name=path.name,
            version=digest[:16],
            purl=f"pkg:generic/{quote(path.name)}@{digest[:16]}",
            licenses=("Apache-2.0",),
            sha256=digest,
        )


def write(components: list[Component], *, name: str, version: str, out: Path) -> tuple[Path, Path]:
    """Write the lists; returns (bom.json, licenses.txt)."""
    ordered = sorted(components)
    body = [one.plain() for one in ordered]
    serial = uuid.UUID(
        bytes=hashlib.sha256(json.dumps([name, version, body]).encode()).digest()[:16], version=4
    )
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "firmware", "bom-ref": "image", "name": name, "version": version}},
        "components": body,
    }
    bom_file, list_file = out / "bom.cdx.json", out / "licenses.txt"
    bom_file.write_text(json.dumps(bom, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    lines = [f"{one.name} {one.version}: {', '.join(one.licenses) or 'see its source'}" for one in ordered]
    list_file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return bom_file, list_file
