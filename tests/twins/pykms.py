"""Stands in for kms++'s binding, which picamera2 imports for previews; the reader calls nothing in it."""

from __future__ import annotations

import enum

PixelFormat = enum.Enum("PixelFormat", "RGB888 BGR888 XRGB8888 XBGR8888 YUV420 YVU420 MJPEG")
