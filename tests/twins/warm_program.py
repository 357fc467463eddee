"""`reader` and `department` as processes that begin with their modules loaded.

A program spends a second or two on imports, and the tests start hundreds of them. Here one process of each
program imports once and forks; the fork is a process of its own, with its streams, environment, signals and
exit status. What only a start from nothing shows, the tests of the tutorial, of lasting streams
and of light starts show.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

READER, DEPARTMENT = "firmware.cli", "sync.department.cli"
PRELOADED = {
    READER: ("firmware.commands.run", "firmware.commands.console", "ai_edge_litert.interpreter"),
    DEPARTMENT: ("sync.department.commands.serve", "alembic.command"),
}
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2): the fork of a fork becomes this process's own child
MOST_BYTES = 1 << 20
STREAMS = 3
INHERITED = (signal.SIGHUP, signal.SIGINT)  # whether they are ignored, as under nohup


class WarmProgram(subprocess.Popen[Any]):
    """As `subprocess.Popen([sys.executable, "-m", module, *words], ...)`, without its imports."""

    def __init__(self, module: str, *words: str, **streams: Any) -> None:
        self._module = module
        super().__init__([sys.executable, "-m", module, *words], **streams)

    def _execute_child(self, args: list[str], *settings: Any) -> None:
        """What Popen calls to start the process; `settings` in its order."""
        folder, environment, pipes = settings[4], settings[5], settings[9:15]
        theirs = [own if pipe == -1 else pipe for own, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        asked = {
            "words": args[3:],
            "folder": os.fspath(folder or Path.cwd()),
            "environment": dict(os.environ if environment is None else environment),
            "ignored": [one for one in INHERITED if signal.getsignal(one) is signal.SIG_IGN],
        }
        self.pid = _nursery(self._module).fork(asked, theirs)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def run_warm(
    module: str, *words: str, given: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command to its end; `given`: its standard input."""
    pipe = subprocess.PIPE
    with WarmProgram(
        module, *words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as program:
        out, err = program.communicate(given, timeout=300)
        return subprocess.CompletedProcess(program.args, program.returncode, out, err)


@functools.cache
def _nursery(module: str) -> _Nursery:
    return _Nursery(module)


class _Nursery:
    """The process that has a program's modules and forks; it ends with this one."""

    def __init__(self, module: str) -> None:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-W", "ignore", __file__, module, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def fork(self, asked: dict[str, Any], streams: list[int]) -> int:
        """The number of a new child of this process with these three streams."""
        with self._lock:
            socket.send_fds(self._line, [json.dumps(asked).encode()], streams)
            return int(self._line.recv(64))


def serve(module: str, line: socket.socket) -> None:
    """Fork for each that is asked for, until nobody can ask."""
    program = importlib.import_module(module)
    for name in PRELOADED[module]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(line, MOST_BYTES, STREAMS)
        if not message:
            return
        middle = os.fork()
        if not middle:  # ends at once, so that who asked adopts its child
            child = os.fork()
            if not child:
                _become(program, module, json.loads(message), streams, line)
            line.send(str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)
        for stream in streams:
            os.close(stream)


def _become(
    program: Any, module: str, asked: dict[str, Any], streams: list[int], line: socket.socket
) -> None:
    """Be the program; does not return."""
    status = 1
    try:
        line.close()
        for own, stream in enumerate(streams):
            os.dup2(stream, own)
            os.close(stream)
        for number in asked["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.stdin, sys.stdout, sys.stderr = _text(0, "r"), _text(1, "w"), _text(2, "w")
        sys.argv = [str(program.__file__), *asked["words"]]
        sys.orig_argv = [sys.executable, "-m", module, *asked["words"]]
        status = program.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does at its end
        sys.excepthook(*sys.exc_info())
    finally:
        _end(status)


def _text(number: int, mode: str) -> IO[str]:
    """A standard stream as Python opens it: by lines at a terminal, and always where errors go."""
    by_lines = number == STREAMS - 1 or os.isatty(number)
    raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - open to the end of the process
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=by_lines)


def _end(status: int) -> None:
    """Wait for threads and flush, as Python does at its end."""
    threading._shutdown()  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 120
    os._exit(status)


if __name__ == "__main__":
    del sys.path[0]  # the twins' folder, which no program has
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
