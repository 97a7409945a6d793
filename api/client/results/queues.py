"""Queues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from task_queue.api.client.results.document import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue.

    Attributes:
        name: Its name.
        driver: `database` or `memory`.
        paused: Whether it hands out no tasks.
        counts: How many of its tasks are in each state.
        oldest_ready_seconds: How long the oldest task that could run has waited; None: none waits.
        rates: Tasks per second on the node that was asked, over its last minute: `published`,
            `completed`, `failed`.
        settings: Its settings.
    """

    name: str
    driver: str = "database"
    paused: bool = False
    counts: Mapping[State, int] = field(default_factory=dict)
    oldest_ready_seconds: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many waiting tasks of a queue were cancelled.

    Attributes:
        name: The queue.
        count: How many.
        more: It took too long: ask again for the rest.
    """

    name: str
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What went through each queue over the last hour or day, in steps.

    Attributes:
        span: `hour` or `day`.
        begin: When the first step begins.
        step_seconds: How long a step is. The last one is the present one.
        queues: Of each queue the numbers of each step: `published`, `started`, `completed`,
            `failed`, `dead`, and the sums `wait_seconds` and `run_seconds`.
    """

    span: str
    begin: float
    step_seconds: int
    queues: Mapping[str, Mapping[str, Sequence[float]]]
