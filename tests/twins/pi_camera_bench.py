"""A Pi camera without a Pi: picamera2's own classes over `libcamera.py`, and a DMA heap of memory files."""

from __future__ import annotations

import ctypes
import os
import re
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import libcamera
import picamera2
import picamera2.allocators.dmaallocator
import picamera2.dma_heap
import pytest
from waiting import PATIENCE_S

from hw.camera_pi import Picamera2Camera, Picamera2Source, PiCameraSettings
from hw.clock import SystemClock

SETTINGS = PiCameraSettings(
    width=64, height=48, lores_width=32, lores_height=24, fps=20, exposure_us=700, stall_s=PATIENCE_S
)


class _HeapCalls:
    """fcntl calls on the DMA heap and its buffers (linux/dma-heap.h, dma-buf.h)."""

    @staticmethod
    def ioctl(_fd: int, request: int, argument: Any) -> Any:
        if request == picamera2.dma_heap.DMA_HEAP_IOCTL_ALLOC:
            argument.fd = os.memfd_create("dma", os.MFD_CLOEXEC)
            os.ftruncate(argument.fd, argument.len)
            return 0
        if request == picamera2.dma_heap.DMA_BUF_SET_NAME:
            return argument.encode()
        if isinstance(argument, ctypes.Structure):
            return 0  # DMA_BUF_IOCTL_SYNC: there is no cache to flush
        raise OSError(25, "not a call of the heap")


class PiCameraBench:
    """The library's module, the sensor below it, and what they use of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.library: ModuleType = picamera2
        self.sensor = libcamera.fresh_sensor()
        monkeypatch.setattr(picamera2.dma_heap, "heapNames", [os.devnull])
        for module in (picamera2.dma_heap, picamera2.allocators.dmaallocator):
            monkeypatch.setattr(module, "fcntl", _HeapCalls)

    @staticmethod
    def descriptors() -> int:
        """The number of open files of this process."""
        return len(list(Path("/proc/self/fd").iterdir()))

    @staticmethod
    def threads() -> list[str]:
        """The names of this process's running threads."""
        return sorted(re.sub("[0-9]+", "N", thread.name) for thread in threading.enumerate())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> PiCameraBench:
    """A fresh bench for tests of the Pi's camera."""
    return PiCameraBench(monkeypatch)


def opened(bench: PiCameraBench, settings: PiCameraSettings = SETTINGS) -> Picamera2Camera:
    return Picamera2Source(settings, clock=SystemClock(), picamera2=bench.library).open()


def take(camera: Picamera2Camera, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        with camera.borrow() as frame:
            numbers.append(frame.sequence)
        del frame
    return numbers
