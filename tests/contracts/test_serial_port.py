"""What every byte line promises: tty driver against a pty, standard input and output, and the twin in
memory.
"""

import errno
import os
import pty
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import pytest
import serial

from hw.errors import HardwareError, LineGoneError, MissingDriverError
from hw.serial_port import FdPort, SerialPort, TtySerialPort, loopback_pair


@dataclass
class Bench:
    port: SerialPort
    send: Callable[[bytes], object]
    receive: Callable[[], bytes]
    pull: Callable[[], object]


def tty_bench() -> Iterator[Bench]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    port = TtySerialPort(os.ttyname(slave))
    os.close(slave)
    gone: list[int] = []

    def pull() -> None:
        if not gone:
            os.close(master)
            gone.append(master)

    yield Bench(port, lambda data: os.write(master, data), lambda: os.read(master, 100), pull)
    port.close()
    pull()


def fd_bench() -> Iterator[Bench]:
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    port = FdPort(read_in, write_out)
    open_ends = {read_out, write_in}

    def pull() -> None:
        for end in list(open_ends):
            os.close(end)
            open_ends.discard(end)

    yield Bench(port, lambda data: os.write(write_in, data), lambda: os.read(read_out, 100), pull)
    port.close()
    pull()
    os.close(read_in)
    os.close(write_out)


def loopback_bench() -> Iterator[Bench]:
    near, far = loopback_pair()
    yield Bench(near, far.write, lambda: far.read(100, 1.0), far.close)
    near.close()


@pytest.fixture(params=[tty_bench, fd_bench, loopback_bench], ids=["tty driver", "standard streams", "twin"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from request.param()


def test_what_is_sent_arrives_whole(bench: Bench) -> None:
    bench.send(b"hello\r\x00\xff")
    got = b""
    while len(got) < 8:
        got += bench.port.read(3, 2.0)
    assert got == b"hello\r\x00\xff"
    bench.port.write(b"back")
    assert bench.receive() == b"back"


def test_a_quiet_line_gives_nothing_after_the_time_asked(bench: Bench) -> None:
    begun = time.monotonic()
    assert bench.port.read(10, 0.05) == b""
    assert time.monotonic() - begun >= 0.04


def test_a_read_wakes_as_soon_as_a_byte_comes(bench: Bench) -> None:
    timer = threading.Timer(0.05, bench.send, [b"x"])
    timer.start()
    assert bench.port.read(10, 30.0) == b"x"
    timer.join()


def test_a_pulled_cable_is_reported_on_read(bench: Bench) -> None:
    def read_thrice() -> None:
        for _ in range(3):
            bench.port.read(10, 0.5)

    bench.pull()
    with pytest.raises(LineGoneError):
        read_thrice()


def test_a_closed_line_takes_nothing_more_and_closes_twice(bench: Bench) -> None:
    bench.port.close()
    bench.port.close()
    with pytest.raises(HardwareError):
        bench.port.write(b"x")
    with pytest.raises(HardwareError):
        bench.port.read(1, 0.1)


def test_a_device_that_is_not_there_names_the_cure() -> None:
    with pytest.raises(MissingDriverError, match=r"opened \(No such file or directory\): check the cable"):
        TtySerialPort("/dev/ttyNONE7")


def test_a_port_that_another_program_holds_is_not_opened() -> None:
    master, slave = pty.openpty()
    first = TtySerialPort(os.ttyname(slave))
    with pytest.raises(MissingDriverError, match=r"opened \(another program has it open\)"):
        TtySerialPort(os.ttyname(slave))
    first.close()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("fault", [OSError(errno.EPROTO, "Protocol error"), termios.error(errno.EIO, "I/O")])
def test_an_adapter_that_is_pulled_while_it_is_opened_is_an_error_of_that_part(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def pulled(*_words: object, **_options: object) -> NoReturn:
        raise fault

    monkeypatch.setattr(serial.Serial, "_update_dtr_state", pulled)
    master, slave = pty.openpty()
    with pytest.raises(MissingDriverError, match="check the cable"):
        TtySerialPort(os.ttyname(slave))
    os.close(master)
    os.close(slave)


def test_a_port_without_the_modem_line_that_was_asked_for_says_which_setting_to_change() -> None:
    master, slave = pty.openpty()
    port = TtySerialPort(os.ttyname(slave), modem_line="dsr")
    with pytest.raises(HardwareError, match="--modem-line none"):
        port.read(1, 0.01)
    port.close()
    os.close(master)
    os.close(slave)
