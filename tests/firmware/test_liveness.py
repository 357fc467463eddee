"""The supervisor must restart the reader if there are no frames, or if frames are not read."""

from firmware.health.liveness import (
    BLIND_BEFORE_RESTART_S,
    NEVER_SEEN_BEFORE_RESTART_S,
    STUCK_BEFORE_RESTART_S,
    Liveness,
)


def beats(
    seconds: float, *, age_s: float = 0.05, a_second: int = 10, seen: bool = True, reading: bool = True
) -> list[bool]:
    now_s = [0.0]
    liveness = Liveness(reading=reading, monotonic=lambda: now_s[0])
    heard = []
    while now_s[0] < seconds:
        heard.append(liveness.alive(frame_age_s=age_s, read=int(now_s[0] * a_second), seen=seen))
        now_s[0] += 1.0
    return heard


def test_frames_that_come_and_are_read_keep_the_heartbeat_going() -> None:
    assert all(beats(2 * STUCK_BEFORE_RESTART_S))


def test_no_frames_end_it() -> None:
    assert not any(beats(5, age_s=BLIND_BEFORE_RESTART_S))


def test_unread_frames_end_it_after_a_while() -> None:
    heard = beats(STUCK_BEFORE_RESTART_S + 100, a_second=0)
    assert heard.index(False) == STUCK_BEFORE_RESTART_S
    assert not any(heard[heard.index(False) :])


def test_a_camera_that_never_came_ends_it_late_for_a_restart_did_not_bring_it() -> None:
    assert all(beats(5, age_s=NEVER_SEEN_BEFORE_RESTART_S - 1, seen=False))
    assert not any(beats(5, age_s=NEVER_SEEN_BEFORE_RESTART_S, seen=False))


def test_nets_that_cannot_be_used_do_not_end_it_but_a_silent_camera_does() -> None:
    assert all(beats(2 * STUCK_BEFORE_RESTART_S, a_second=0, reading=False))
    assert not any(beats(5, age_s=BLIND_BEFORE_RESTART_S, a_second=0, reading=False))


def test_a_quiet_folder_is_not_taken_for_a_dead_camera() -> None:
    quiet_s = 2 * NEVER_SEEN_BEFORE_RESTART_S
    now_s = [0.0]
    liveness = Liveness(reading=True, quiet_s=quiet_s, monotonic=lambda: now_s[0])
    for seen in (False, True):
        assert liveness.alive(frame_age_s=now_s[0], read=1, seen=seen)
        now_s[0] = quiet_s - 1
        assert liveness.alive(frame_age_s=now_s[0], read=1, seen=seen)
    now_s[0] = quiet_s
    assert not liveness.alive(frame_age_s=now_s[0], read=1, seen=True)
