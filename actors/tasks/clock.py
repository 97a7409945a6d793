"""The clock of the machine, when it is set back. Pure.

What was counted from a moment while the clock was ahead (a delay, a backoff, a lease, the next time
of a schedule) would wait until the clock shows that moment again. So it is counted anew from now.
"""

from math import inf

TOLERANCE_SECONDS = 60.0
"""How far moments may lie in the future before they count as made by a clock that was ahead: more
than nodes whose clocks agree ever differ by, and not worth waiting for."""


class Watch:
    """Notices that the clock was set back."""

    def __init__(self) -> None:
        self._latest = -inf

    def set_back_seconds(self, now: float) -> float:
        """Return by how many seconds the clock was set back since the last look.

        0 within `TOLERANCE_SECONDS`; several small steps count as one.

        Args:
            now: The present moment, Unix seconds.
        """
        back = self._latest - now
        if back <= TOLERANCE_SECONDS:
            self._latest = max(self._latest, now)
            return 0.0
        self._latest = now
        return 0.0 if back == inf else back
