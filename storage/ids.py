"""The form of short names in signed files: terms, categories, hot lists. No I/O."""

from __future__ import annotations

import re

TERM_ID = re.compile(r"[a-z][a-z0-9-]{0,31}")
