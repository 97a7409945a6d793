"""The work of every task."""

from collections.abc import Sequence


def add(numbers: Sequence[int]) -> int:
    """Their sum."""
    return sum(numbers)
