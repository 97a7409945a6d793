"""How a supervised child is started, and whom its death concerns."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pykka

from task_queue.actors.messages.base import Request
from task_queue.actors.runtime.actor import Life
from task_queue.actors.runtime.address import Address

BOOT_SECONDS = 60.0
"""How long a child's `setup` may take."""


class Restart(Enum):
    """Whether a child is started again."""

    PERMANENT = "permanent"
    """Whenever it dies."""
    ONE_SHOT = "one shot"
    """Never: its work is done in `setup`, and the others start only after it succeeded."""


class Strategy(Enum):
    """Whom a child's death concerns."""

    ONE_FOR_ONE = "one for one"
    """Only itself."""
    REST_FOR_ONE = "rest for one"
    """All that were started after it, because they depend on it."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start one child, and whom its death concerns.

    Attributes:
        address: Where others reach it; its name is the child's.
        start: Starts the actor.
        restart: Whether it is started again.
        strategy: Whom its death concerns.
        group: If given, its death concerns only children with the same group.
    """

    address: Address
    start: Callable[[Life], pykka.ActorRef[Any]]
    restart: Restart = Restart.PERMANENT
    strategy: Strategy = Strategy.ONE_FOR_ONE
    group: str | None = None

    @property
    def name(self) -> str:
        """The child's name."""
        return self.address.name

    @property
    def kind(self) -> str:
        """What it is: its name, or of those of a queue `queue` or `consumer`."""
        return self.name if self.group is None else self.name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Add(Request[None]):
    """Start further children, after the others. Answered when all are up.

    Attributes:
        specs: The children, in start order.
    """

    specs: Sequence[ChildSpec]


@dataclass(slots=True)
class Intensity:
    """The restart intensity: how many deaths within a period are tolerated.

    The rule is that of Erlang/OTP's supervisors ("Supervisor Behaviour", maximum restart
    intensity).

    Attributes:
        max_restarts: How many deaths are tolerated.
        period_seconds: The period.
    """

    max_restarts: int
    period_seconds: float
    _moments: deque[float] = field(default_factory=deque)

    def count(self, now: float) -> int:
        """Count a death, and return how many there were within the period, this one included."""
        self._moments.append(now)
        # A clock set back puts former deaths into the future: those are dropped too.
        while not 0 <= now - self._moments[0] < self.period_seconds:
            self._moments.popleft()
        return len(self._moments)
