"""Dead letters."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """How many dead tasks were put back, and how many that match were not.

    Attributes:
        count: How many were put back.
        quarantined: How many may take the service down again.
        unknown: How many have an action or a queue that there is not.
        unchanged: How many are not dead any more, or lost their unique key.
        detail: Why those were not put back; empty: all were.
    """

    count: int
    quarantined: int = 0
    unknown: int = 0
    unchanged: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadGroup:
    """Dead tasks that died of the same error, apart from ids and numbers in it.

    Attributes:
        queue: Their queue.
        action: Their action.
        error_group: What their errors have in common.
        count: How many there are.
        first_at: When the first of them died.
        last_at: When the last one did.
    """

    queue: str
    action: str
    error_group: str
    count: int
    first_at: float | None = None
    last_at: float | None = None
