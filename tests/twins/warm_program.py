"""`reader` and `department` as processes that start with their modules already loaded.

A program spends a second or two on imports, and the tests start hundreds of them. Here one process of each
program imports once and forks; each fork is a separate process, with its own streams, environment, signals,
limits and exit status. A start that a fork cannot imitate gets a new interpreter: a setting of Popen that
forks do not support, or a variable that Python reads at startup. `tests/contracts/test_warm_program.py` runs
the same table both ways.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

READER, DEPARTMENT = "firmware.cli", "sync.department.cli"
PRELOADED = {
    READER: ("firmware.commands.run", "firmware.commands.console", "ai_edge_litert.interpreter"),
    DEPARTMENT: ("sync.department.commands.serve", "alembic.command"),
}
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2): the fork of a fork becomes this process's child
MOST_BYTES = 1 << 20
STREAMS = 3
STREAM_NAMES = ("<stdin>", "<stdout>", "<stderr>")
PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
INHERITED = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}
"""Whether they are ignored, as under nohup; the last two Python ignores itself."""
AT_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "OMP_", "OPENBLAS_", "OPENSSL_")
"""What Python and the libraries read once: names of variables begin so."""
FROM_NOTHING: dict[str, object] = {
    "executable": None,
    "preexec_fn": None,
    "close_fds": True,
    "pass_fds": (),
    "shell": False,
    "restore_signals": True,
    "gid": None,
    "gids": None,
    "uid": None,
    "start_new_session": False,
    "process_group": -1,
}
"""What a fork has of these settings; with any other the program starts from nothing."""


class WarmProgram(subprocess.Popen[Any]):
    """Like `subprocess.Popen([sys.executable, "-m", module, *words], ...)`, without the time for imports."""

    def __init__(self, module: str, *words: str, **streams: Any) -> None:
        self._module = module
        super().__init__([sys.executable, "-m", module, *words], **streams)

    def _execute_child(self, *given: Any) -> None:
        """Popen's hook to start the process; takes its settings by name, in whatever order they come."""
        start = super()._execute_child  # type: ignore[misc]
        settings = inspect.signature(start).bind(*given).arguments
        environment = dict(os.environ if settings["env"] is None else settings["env"])
        nursery, folder = _nursery(self._module), os.fspath(settings["cwd"] or Path.cwd())
        as_a_fork = all(tuple_of(settings[name]) == tuple_of(has) for name, has in FROM_NOTHING.items())
        if not as_a_fork or read_at_start(environment) != nursery.environment or not Path(folder).is_dir():
            start(*given)
            return
        pipes = [settings[name] for name in PIPES]
        theirs = [own if pipe == -1 else pipe for own, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        asked = {
            "words": settings["args"][3:],
            "folder": folder,
            "environment": environment,
            "ignored": [one for one in INHERITED if signal.getsignal(one) is signal.SIG_IGN],
            "masked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
            "umask": _umask() if settings["umask"] == -1 else settings["umask"],
            "limits": [(one, resource.getrlimit(one)) for one in LIMITS],
        }
        self.pid = nursery.fork(asked, theirs)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def tuple_of(value: object) -> object:
    """A list as a tuple, and anything else unchanged: Popen takes either."""
    return tuple(value) if isinstance(value, list | tuple) else value


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python reads only at startup, so that a fork cannot apply them."""
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


def _umask() -> int:
    """The umask of this process; umask(2) would change it for other threads."""
    found = re.search(r"^Umask:\s+(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1], 8)


def run_warm(
    module: str, *words: str, given: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `given`: its standard input."""
    pipe = subprocess.PIPE
    with WarmProgram(
        module, *words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as program:
        out, err = program.communicate(given, timeout=300)
        return subprocess.CompletedProcess(program.args, program.returncode, out, err)


def _nursery(module: str) -> _Nursery:
    """The nursery of a program; a new one if it was killed with the process group of a test."""
    with _STARTING:
        made = _NURSERIES.get(module)
        if made is None or made.ended:
            made = _NURSERIES[module] = _Nursery(module)
        return made


class _Nursery:
    """The process that loads a program's modules and forks; it ends with this process."""

    def __init__(self, module: str) -> None:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self.environment = read_at_start(os.environ)
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, __file__, module, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def fork(self, asked: dict[str, Any], streams: list[int]) -> int:
        """Fork a child of this process with these three streams. Returns its PID."""
        with self._lock:
            socket.send_fds(self._line, [json.dumps(asked).encode()], streams)
            return int(self._line.recv(64))


_NURSERIES: dict[str, _Nursery] = {}
_STARTING = threading.Lock()


def serve(module: str, line: socket.socket) -> None:
    """Fork once for each request, until the other end is closed."""
    program = importlib.import_module(module)
    for name in PRELOADED.get(module, ()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(line, MOST_BYTES, STREAMS)
        if not message:
            return
        reading, writing = os.pipe()
        middle = _fork()
        if not middle:  # it ends at once, so that the requester adopts its child
            child = _fork()
            if not child:
                for number in (line.detach(), reading, writing):
                    os.close(number)
                _become(program, module, json.loads(message), streams)
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)  # only then is the new process a child of the requester, which can wait for it
        line.send(os.read(reading, 64))
        for number in (reading, writing, *streams):
            os.close(number)


def _fork() -> int:
    """Fork without Python's warning about threads, which libraries may have; keep the program's warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(program: Any, module: str, asked: dict[str, Any], streams: list[int]) -> None:
    """Run the program in this fork; does not return."""
    status = 1
    try:
        for own, stream in enumerate(streams):
            os.dup2(stream, own)
            os.close(stream)
        _inherit(asked)
        sys.stdin, sys.stdout, sys.stderr = (_stream(number) for number in range(STREAMS))
        sys.argv = [str(program.__file__), *asked["words"]]
        sys.orig_argv = [sys.executable, "-m", module, *asked["words"]]
        if not sys.flags.safe_path:
            sys.path.insert(0, asked["folder"])
        sys.exit(program.main())
    except SystemExit as end:
        status = _status(end)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        status = -signal.SIGINT
    except BaseException:  # noqa: BLE001 - as Python itself does at its end
        sys.excepthook(*sys.exc_info())
    finally:
        _end(status)


def _inherit(asked: dict[str, Any]) -> None:
    """Apply what a process inherits from the one that starts it."""
    for number in INHERITED:
        if number in asked["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        elif signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
    signal.pthread_sigmask(signal.SIG_SETMASK, asked["masked"])
    os.umask(asked["umask"])
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    for number, limits in asked["limits"]:
        if resource.getrlimit(number) != tuple(limits):
            resource.setrlimit(number, tuple(limits))


def _stream(number: int) -> IO[str]:
    """A standard stream, opened as Python opens its own (create_stdio in Python/pylifecycle.c)."""
    own: Any = (sys.__stdin__, sys.__stdout__, sys.__stderr__)[number]
    mode, unbuffered = "w" if number else "r", own.write_through
    raw: Any = io.FileIO(number, mode, closefd=False)
    raw.name = STREAM_NAMES[number]
    by_lines = number == STREAMS - 1 or raw.isatty()
    buffered = raw if unbuffered and number else (io.BufferedWriter if number else io.BufferedReader)(raw)
    text: Any = io.TextIOWrapper(
        buffered,
        encoding=own.encoding,
        errors=own.errors,
        newline="\n",
        line_buffering=by_lines and not unbuffered,
        write_through=unbuffered,
    )
    text.mode = mode
    opened: IO[str] = text
    return opened


def _status(end: SystemExit) -> int:
    """The exit status for a SystemExit; its text, if any, is printed first."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _end(status: int) -> None:
    """Wait for threads, call the exit handlers, and flush, as Python does."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError):
            status = 120 if status >= 0 else status
            if stream is not sys.stderr:
                _, error, _ = sys.exc_info()
                print(f"Exception ignored in: {stream!r}", file=sys.stderr)
                print(*traceback.format_exception_only(error), sep="", end="", file=sys.stderr, flush=True)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    del sys.path[0]  # the twins' folder, which is not on a program's path
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
