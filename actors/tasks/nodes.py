"""The nodes: the processes that run consumers, and what tells whether they live. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ALIVE_SECONDS = 10.0
"""How often a node says that it lives."""
SILENT_SECONDS = 30.0
"""After how long one that says nothing is silent."""
FORGET_SECONDS = 3_600.0
"""After how long a silent one is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A process that runs consumers.

    Attributes:
        name: `host:process`, as in the rows that it claims.
        version: Of the program.
        started_at: When it started, Unix seconds.
        seen_at: When it last said that it lives, Unix seconds.
        draining: Whether it is about to end, and starts nothing more.
        queues: How many consumers each of its queues has, by name.
    """

    name: str
    version: str
    started_at: float
    seen_at: float
    draining: bool
    queues: Mapping[str, int]

    def status(self, now: float) -> Literal["alive", "draining", "silent"]:
        """Return how it is at this moment, Unix seconds."""
        if now - self.seen_at > SILENT_SECONDS:
            return "silent"
        return "draining" if self.draining else "alive"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask:
    """A task that runs.

    Attributes:
        id: Its id.
        action: Its action.
        queue: Its queue.
        attempt: The number of this attempt, from 1.
        started_at: When it was claimed, Unix seconds.
        worker: What has it: a node, or a worker over HTTP.
        external: Whether that is a worker over HTTP.
    """

    id: str
    action: str
    queue: str
    attempt: int
    started_at: float
    worker: str
    external: bool
