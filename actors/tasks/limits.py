"""What a queue's settings allow at most. Pure."""

from dataclasses import dataclass, field

LOOK_SECONDS = 0.25
"""How often a queue that waits for tokens looks for them: at every tick of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """The limits of one queue; 0 is none.

    Attributes:
        max_length: Tasks that are not final.
        max_bytes: Bytes of the data of those.
        rate_limit: Starts per second, over all nodes.
        concurrency_per_key: Tasks with the same key that run at once, over all nodes.
        bound_publishes: Whether a publish has to be looked at before it is stored.
    """

    max_length: int = 0
    max_bytes: int = 0
    rate_limit: float = 0.0
    concurrency_per_key: int = 0
    bound_publishes: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Worked out once: every publish asks for it.
        object.__setattr__(self, "bound_publishes", bool(self.max_length or self.max_bytes))


NO_LIMITS = QueueLimits()


@dataclass(frozen=True, slots=True)
class Room:
    """What a queue with limits has left after a publish.

    Attributes:
        tasks: How many tasks more it takes; None: any number.
        bytes: How many bytes of data more it takes; None: any number.
    """

    tasks: int | None
    bytes: int | None


def bucket_size(rate: float) -> float:
    """How many starts a queue that was idle may make at once: half a second's worth, or one.

    And what drips in between two looks at the bucket, so that no fraction of a start is spilt.
    """
    return max(1.0 + rate * LOOK_SECONDS, rate / 2)


def refilled(tokens: float, elapsed_seconds: float, rate: float) -> float:
    """The tokens in the bucket after so many seconds, at the rate of so many a second.

    A clock that went backwards adds none.
    """
    return min(bucket_size(rate), tokens + max(0.0, elapsed_seconds) * rate)
