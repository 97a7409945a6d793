"""How long to wait before the next attempt: exponential growth, a cap, and full jitter."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """A policy of growing delays.

    Attributes:
        base_seconds: The upper bound of the first delay.
        factor: The ratio of each bound to the one before it.
        cap_seconds: The largest bound.
    """

    base_seconds: float
    factor: float
    cap_seconds: float

    @classmethod
    def parse(cls, text: str) -> "Backoff":
        """Return the policy that a row keeps as this text."""
        base, factor, cap = text.split()
        return cls(float(base), float(factor), float(cap))

    @property
    def text(self) -> str:
        """The policy as the text that a row keeps."""
        return f"{self.base_seconds} {self.factor} {self.cap_seconds}"

    def delay_seconds(self, failures: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait after the given number of failures in a row.

        Full jitter: anywhere between zero and the bound, so that tasks that failed together do
        not come back together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

        Args:
            failures: How many attempts failed so far, at least 1.
            random: Gives a number in [0, 1).
        """
        try:
            bound = self.base_seconds * self.factor ** (failures - 1)
        except OverflowError:
            bound = self.cap_seconds
        return random() * min(bound, self.cap_seconds)
