"""What a process does before it holds keys."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """From here on this process's files are its owner's alone, and a crash leaves its memory nowhere.

    A limit of 0 alone does not keep a dump from a program that the kernel pipes it to (core(5)).
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
