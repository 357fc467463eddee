"""What a soak came to. No I/O but the look at one's own memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Account:
    """Counts of one soak; `wrong` names everything that broke a promise."""

    minutes: float
    frames: int = 0
    broken_frames: int = 0
    stalls: int = 0
    longest_blind_s: float = 0.0
    blind_s: float = 0.0
    gaps_recorded: int = 0
    full_disks: int = 0
    clock_steps: int = 0
    lost_lines: dict[str, int] = field(default_factory=dict)
    line_lost_s: float = 0.0
    connections_cut: int = 0
    conversations: dict[str, int] = field(default_factory=dict)
    longest_without_sync_s: float = 0.0
    longest_without_read_s: float = 0.0  # while the disk had room
    announced: int = 0
    stored: int = 0
    received_by_department: int = 0
    lost_to_full_disk: int = 0
    epochs_purged: int = 0
    frames_dropped: int = 0
    memory_early_mb: float = 0.0
    memory_late_mb: float = 0.0
    processor_share: float = 0.0
    reader_verify: int = -1
    department_verify: int = -1
    wrong: list[str] = field(default_factory=list)
