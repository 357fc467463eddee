"""The twin of a unit: answers the console from memory, with real pictures if it gets any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from firmware.console.aim import AimView, look
from firmware.console.errors import UnitRefusedError
from firmware.console.preview import Corners
from firmware.console.unit import Identity, ResetObstacles, SelfTestLine
from firmware.health.custody import Custody
from firmware.health.report import HealthReport, HealthWatch
from firmware.health.scene_watch import SceneWatch
from hw.clock import SetClock, TimeState
from hw.power import ScriptedPower
from hw.vitals import ScriptedBoard

Picture = tuple[NDArray[np.uint8], Sequence[Corners]]


def gray_road() -> Picture:
    """An empty picture: a bright sky over a dark road."""
    luma = np.full((360, 640), 70, np.uint8)
    luma[:120] = 200
    return luma, ()


class BenchUnit:
    """A unit on a bench. `done`: the requests that it got; `secrets_seen`: the secrets in them."""

    def __init__(
        self,
        *,
        unit: str = "unit-7",
        name: str = "",
        enrolled: bool = True,
        empty: bool = False,
        clock: SetClock | None = None,
        floor_us: int = 0,
        picture: Callable[[], Picture] = gray_road,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.clock = clock or SetClock(1_777_777_777_000_000)
        self.floor_us = floor_us
        self.by_hand_us = 0
        self.taken_back: set[str] = set()
        self.obstacles = ResetObstacles(unacknowledged=0, log_size=10, holds=())
        self.logs: list[str] = ["reader started", "camera opened"]
        self.settings = {"exposure_us": "800", "gain": "2.0"}
        self.done: list[str] = []
        self.writes_update = False
        self.secrets_seen: list[str] = []
        self._identity = Identity(
            unit=unit, name=name or unit, software="reader 0.1.0", enrolled=enrolled, empty=empty
        )
        self._picture = picture
        self._watch = HealthWatch(
            board=ScriptedBoard(), power=ScriptedPower(), now=self.clock.now, custody=self._custody,
            monotonic=monotonic or (lambda: 0.0), scene=SceneWatch(),
        )  # fmt: skip

    def _custody(self) -> Custody:
        return Custody(
            log_records=self.obstacles.log_size, unacknowledged=self.obstacles.unacknowledged,
            enrolled=self._identity.enrolled, last_sync_us=self.clock.now().us - 3_600_000_000,
        )  # fmt: skip

    def identity(self) -> Identity:
        """See Unit.identity."""
        return self._identity

    def time_us(self) -> tuple[int, int]:
        """See Unit.time_us."""
        now = self.clock.now()
        return max(now.us, self.floor_us), now.error_us

    def log_ahead_us(self) -> int:
        """See Unit.log_ahead_us."""
        return max(0, self.floor_us - self.clock.now().us)

    def revoked(self) -> frozenset[str]:
        """See Unit.revoked."""
        return frozenset(self.taken_back)

    def health(self) -> HealthReport:
        """See Unit.health."""
        return self._watch.report()

    def aim(self) -> AimView:
        """See Unit.aim."""
        luma, plates = self._picture()
        self._watch.frame_seen(luma)
        return look(luma, plates, exposure_us=800, gain=2.0)

    def camera(self) -> Mapping[str, str]:
        """See Unit.camera."""
        return dict(self.settings)

    def set_camera(self, name: str, value: str) -> str:
        """See Unit.set_camera."""
        if name not in self.settings:
            raise UnitRefusedError(f"no camera setting {name}; there are: {', '.join(self.settings)}")
        self.settings[name] = value
        self.done.append(f"camera {name} {value}")
        return "in force now"

    def network(self) -> Sequence[str]:
        """See Unit.network."""
        return ["eth0 up", "department reachable"]

    def join_wifi(self, name: str, passphrase: str) -> str:
        """See Unit.join_wifi."""
        self.secrets_seen.append(passphrase)
        self.done.append(f"wifi {name}")
        return f"joined {name}"

    def set_by_hand_us(self) -> int:
        """See Unit.set_by_hand_us."""
        return self.by_hand_us

    def set_time(self, us: int) -> None:
        """See Unit.set_time."""
        if us < self.floor_us:
            raise UnitRefusedError("the log already holds a later signed time")
        self.by_hand_us += max(0, us - self.clock.now().us)
        self.clock.step(us - self.clock.now().us)
        self.clock.lose_reference(TimeState.HOLDOVER)
        self.done.append("time")

    def storage(self) -> Mapping[str, str]:
        """See Unit.storage."""
        return {"records": str(self.obstacles.log_size), "slot": "memory"}

    def sync(self) -> Iterator[str]:
        """See Unit.sync."""
        self.done.append("sync")
        yield "3 batches sent"
        yield "everything acknowledged"

    def selftest(self) -> Iterator[SelfTestLine]:
        """See Unit.selftest."""
        self.done.append("selftest")
        yield SelfTestLine(name="camera", good=True, detail="640 x 360")
        yield SelfTestLine(name="gps", good=None, detail="not fitted")

    def log_lines(self, count: int) -> Sequence[str]:
        """See Unit.log_lines."""
        return self.logs[-count:]

    def update_state(self) -> Sequence[str]:
        """See Unit.update_state."""
        return ["software reader 0.1.0", "nothing ready to install"]

    def update(self, source: str) -> Iterator[str]:
        """See Unit.update."""
        yield f"checking {source}"
        self.done.append("update")
        yield "installed; restart to use it"

    def may_write_update(self) -> bool:
        """See Unit.may_write_update."""
        return self.writes_update

    def reboot(self) -> None:
        """See Unit.reboot."""
        self.done.append("reboot")

    def reset_obstacles(self) -> ResetObstacles:
        """See Unit.reset_obstacles."""
        return self.obstacles

    def factory_reset(self, agreed: ResetObstacles, *, grant_id: str = "") -> Iterator[str]:
        """See Unit.factory_reset."""
        self.done.append("keys destroyed")
        yield "keys destroyed"
        self.done.append("home cleared")
        yield "home cleared"

    def enroll(self, code: str) -> Iterator[str]:
        """See Unit.enroll."""
        self.secrets_seen.append(code)
        self.done.append("enroll")
        yield "enrolled at the department"
