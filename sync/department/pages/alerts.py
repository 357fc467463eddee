"""Alerts: the list, and each alert's way from its picture to its end (463.7)."""

from __future__ import annotations

from sync.department.pages.visit import Page

PAGES: tuple[Page, ...] = ()
