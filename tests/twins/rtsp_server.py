"""A network camera on loopback: RTSP (RFC 2326) over TCP, an MPEG transport stream in RTP (RFC 2250)."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator

import av
from camera_twins import scene

from tests.tools.ports import free_port

TS_PACKET, PER_RTP = 188, 7
PASSWORD = "hunter2"  # noqa: S105 - of a camera that lives for a test


def transport_stream(size: tuple[int, int], frames: int) -> bytes:
    """A scene as MPEG-4 in a transport stream."""
    whole = io.BytesIO()
    with av.open(whole, mode="w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for _ in range(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(scene(size), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return whole.getvalue()


class RtspCamera:
    """Serves one viewer at a time. silent: send nothing more; close: as if the power failed."""

    def __init__(
        self, size: tuple[int, int] = (64, 48), *, password: bool = False, port: int | None = None
    ) -> None:
        self._clip = transport_stream(size, 50)
        self._password = password
        self._stop = threading.Event()
        self.silent = threading.Event()
        self.viewers = 0
        self._listener = socket.create_server(("127.0.0.1", port or free_port()))
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        who = f"admin:{PASSWORD}@" if self._password else ""
        return f"rtsp://{who}127.0.0.1:{self.port}/cam?token=s3cret"

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=300)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                line, _ = self._listener.accept()
            except TimeoutError:
                continue
            with line, contextlib.suppress(OSError, ValueError):
                self._serve(line)

    def _serve(self, line: socket.socket) -> None:
        line.settimeout(300)
        reader = line.makefile("rb")
        for method, headers in requests(reader):
            answer = ["RTSP/1.0 200 OK", f"CSeq: {headers.get('cseq', '0')}"]
            body = ""
            given = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
            if self._password and method != "OPTIONS" and headers.get("authorization") != f"Basic {given}":
                answer[0] = "RTSP/1.0 401 Unauthorized"
                answer.append('WWW-Authenticate: Basic realm="cam"')
            elif method == "OPTIONS":
                answer.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == "DESCRIBE":
                lines = ("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=cam", "t=0 0", "m=video 0 RTP/AVP 33")
                body = "\r\n".join((*lines, "a=control:trackID=0", ""))
                answer.append("Content-Type: application/sdp")
            elif method == "SETUP":
                answer += ["Session: 1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]
            elif method == "PLAY":
                answer.append("Session: 1")
            text = "\r\n".join([*answer, f"Content-Length: {len(body)}", "", body])
            line.sendall(text.encode())
            if method == "PLAY":
                self.viewers += 1
                self._play(line)
                return

    def _play(self, line: socket.socket) -> None:
        number, piece = 0, TS_PACKET * PER_RTP
        while not self._stop.is_set():
            for at in range(0, len(self._clip), piece):
                while self.silent.is_set() and not self._stop.is_set():
                    time.sleep(0.02)
                if self._stop.is_set():
                    return
                chunk = self._clip[at : at + piece]
                head = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 3600 & 0xFFFFFFFF, 7)
                packet = head + chunk
                line.sendall(b"$\x00" + struct.pack(">H", len(packet)) + packet)
                number += 1
                time.sleep(0.002)


def requests(reader: io.BufferedReader) -> Iterator[tuple[str, dict[str, str]]]:
    """The method and headers of each request from a viewer."""
    while True:
        first = reader.readline().decode("latin-1").strip()
        if not first:
            return
        headers = {}
        while line := reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        yield re.split(r"\s", first)[0], headers
