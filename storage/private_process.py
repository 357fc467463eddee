"""What a process does before it holds keys."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """Make this process's new files private to its owner, and prevent core dumps.

    A limit of 0 is not enough: the kernel may still pipe a dump to a program (core(5)).
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
