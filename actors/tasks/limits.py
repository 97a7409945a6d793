"""The limits of a queue, and the token bucket of its rate limit. Pure."""

from dataclasses import dataclass, field

LOOK_SECONDS = 0.25
"""How often a queue that waits for tokens looks for them: at every tick of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """The limits of one queue; 0 is none.

    Attributes:
        max_length: How many tasks that are not final.
        max_bytes: How many bytes of data these have in all.
        rate_limit: How many starts per second, over all nodes.
        concurrency_per_key: How many tasks with the same key run at once, over all nodes.
        bound_publishes: Whether a publish has to be counted before it is stored.
    """

    max_length: int = 0
    max_bytes: int = 0
    rate_limit: float = 0.0
    concurrency_per_key: int = 0
    bound_publishes: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Computed once, because every publish reads it.
        object.__setattr__(self, "bound_publishes", bool(self.max_length or self.max_bytes))


NO_LIMITS = QueueLimits()
"""The limits of a queue that has none."""


@dataclass(frozen=True, slots=True)
class Room:
    """The room that a queue with limits has left after a publish.

    Attributes:
        tasks: How many more tasks it takes; None: any number.
        bytes: How many more bytes of data it takes; None: any number.
    """

    tasks: int | None
    bytes: int | None


def bucket_size(rate: float) -> float:
    """Return how many starts an idle queue may make at once: half a second's worth, or one.

    And as many as come in between two looks at the bucket, so that no fraction of one is lost.
    """
    return max(1.0 + rate * LOOK_SECONDS, rate / 2)


def refilled(tokens: float, elapsed_seconds: float, rate: float) -> float:
    """Return the tokens in the bucket after so many seconds, at the rate of so many a second.

    A clock that was set back adds none.
    """
    return min(bucket_size(rate), tokens + max(0.0, elapsed_seconds) * rate)
