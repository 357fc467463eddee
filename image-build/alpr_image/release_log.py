"""The project's release log: appends a release and gives its tlog-proof. A file of leaves; the tree is
computed.
"""

from __future__ import annotations

import json
from pathlib import Path

from alpr_image.keys import LOG_NAME, WITNESS_NAME, KeyFolder
from storage import merkle, tlog_proof
from storage.checkpoint import Checkpoint, cosign, sign_checkpoint
from storage.update_file import SystemRelease


class ReleaseLog:
    """path: a JSON list of leaf texts, oldest first."""

    def __init__(self, path: Path, keys: KeyFolder) -> None:
        self._path, self._keys = path, keys

    def leaves(self) -> list[str]:
        """All leaves."""
        return [str(one) for one in json.loads(self._path.read_text())] if self._path.exists() else []

    def append(self, release: SystemRelease, *, time_s: int) -> str:
        """Add a release if the log does not have it; returns its proof, with a checkpoint signed now."""
        leaves, text = self.leaves(), release.text()
        if text not in leaves:
            leaves.append(text)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(leaves, indent=0))
            fresh.replace(self._path)
        return self.proof(leaves.index(text), time_s=time_s)

    def proof(self, index: int, *, time_s: int) -> str:
        """The tlog-proof of a leaf."""
        hashes = [merkle.leaf_hash(leaf.encode()) for leaf in self.leaves()]

        def subtree(level: int, at: int) -> bytes:
            return merkle.root_of(hashes[at << level : (at + 1) << level])

        head = Checkpoint(LOG_NAME, len(hashes), merkle.root_of(hashes))
        note = cosign(
            sign_checkpoint(head, self._keys.log_key), WITNESS_NAME, self._keys.witness_key, time_s=time_s
        )
        return tlog_proof.write(index, merkle.inclusion_proof(index, len(hashes), subtree), note)
