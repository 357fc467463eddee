"""Reads the files of a home that its root file names, the policy and the command key, and checks them.

A server rereads these files while it runs. A person who can write to them must not be able to introduce a
policy or key that no two offices signed. So they are read only here, and compared each time.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.errors import EnvelopeError, RecordError, StorageError
from sync.department.ground.home import POLICY_CURE, POLICY_FILE, DepartmentHome, load_ed25519
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import checked_policy
from sync.errors import HomeError
from sync.root_file import Root, describe

AGAIN = "restore it from its backup, or take the copy that an office keeps"
COMMAND = "command"


def root_in(home: DepartmentHome) -> Root:
    """The root file of a home, without a check of its signatures. Raises HomeError."""
    try:
        return describe(home.root_file.read_bytes())[0]
    except FileNotFoundError:
        raise HomeError("the root file is not there", where=str(home.root_file), cure=AGAIN) from None
    except (EnvelopeError, RecordError) as error:
        what = error.what if error.cure else f"the root file is damaged, or was cut: {error.what}"
        raise HomeError(what, where=str(home.root_file), cure=error.cure or AGAIN) from None


def signed_policy(home: DepartmentHome, root: Root | None = None) -> Policy:
    """The policy of the home's file, which `root` must name. Raises HomeError.

    root: that of the access log; by default that of the home, for use before there is a log.
    """
    root = root or root_in(home)
    try:
        return checked_policy(root, home.policy_document())
    except StorageError as error:
        raise HomeError(
            f"the policy file and the root file do not match: {error}",
            where=str(home.path / POLICY_FILE),
            cure=f"{POLICY_CURE}; a new one comes with the root file that names it: department keys adopt",
        ) from None


def command_key(home: DepartmentHome, root: Root | None = None) -> Ed25519PrivateKey:
    """The key that signs documents for units, which `root`, as above, must name. Raises HomeError."""
    path = home.path / f"{COMMAND}.key"
    key = load_ed25519(path)
    if (root or root_in(home)).other(COMMAND) not in {None, key.public_key().public_bytes_raw()}:
        raise HomeError(
            f"the {COMMAND} key here is not the one that the root file names",
            where=str(path),
            cure="restore it from its backup; keys change only by a new root file",
        )
    return key
