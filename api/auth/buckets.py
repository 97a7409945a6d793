"""How many requests each key may make: a token bucket for each, in memory."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_BUCKETS = 10_000
"""How many keys are kept apart; of more, those that have paused longest begin with a full one."""

MIN_PER_SECOND = 1e-9
"""Once in 32 years. Of less, headers could not say the seconds: they have 15 digits (RFC 9651)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a request.

    Attributes:
        left: How many more may come at once.
        retry_after_seconds: When the next may come, whole seconds; None: this one may pass.
    """

    left: int
    retry_after_seconds: int | None = None


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """Counts requests. Nodes do not know of each other's.

    Attributes:
        burst: How many may come at once after a pause.
        window_seconds: How long an empty bucket takes to be full, whole seconds.
    """

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        """Begin with full ones.

        Args:
            per_second: How many requests may come on the average.
            burst: How many may come at once after a pause.
            monotonic: Seconds on a clock that is never set.
        """
        self.burst = burst
        self._per_second = max(per_second, MIN_PER_SECOND)
        self.window_seconds = math.ceil(burst / self._per_second)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, who: str) -> Taken:
        """Take one from the bucket of this key, if it has one."""
        moment = self._monotonic()
        with self._lock:
            bucket = self._buckets.get(who)
            if bucket is None:
                bucket = self._buckets[who] = _Bucket(self.burst, moment)
                if len(self._buckets) > MAX_BUCKETS:
                    self._buckets.popitem(last=False)
            self._buckets.move_to_end(who)
            grown = bucket.tokens + (moment - bucket.filled_at) * self._per_second
            bucket.tokens, bucket.filled_at = min(self.burst, grown), moment
            if bucket.tokens < 1:
                return Taken(0, math.ceil((1 - bucket.tokens) / self._per_second))
            bucket.tokens -= 1
            return Taken(int(bucket.tokens))
