"""What the benchmark measures, and what each figure includes."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

NUMBERS = tuple(range(10))
"""The work of every task: the sum of these."""
WORKERS = 2
"""How many tasks every system runs at the same time."""


class Unit(Enum):
    """What a value is counted in, as it is written behind it."""

    PER_SECOND = "/s"
    SECONDS = "s"
    MIB = "MiB"
    PERCENT = "%"
    MICROSECONDS = "µs"
    RATIO = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured of several systems.

    Attributes:
        key: What samples name it by.
        title: What a table's column is called.
        unit: What its values are counted in.
        includes: What is in the figure and what is not, in a sentence.
        more_is_better: Whether a higher value is the better one.
    """

    key: str
    title: str
    unit: Unit
    includes: str
    more_is_better: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, measured once.

    Attributes:
        system: Of which system, by its name.
        measure: Of what, by `Measure.key`.
        value: How much, in the measure's unit.
        variant: Under which conditions, where one system is measured under several: "prefetch
            500", "1,000,000 finished rows".
    """

    system: str
    measure: str
    value: float
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """How much work one round is; a fraction of it for a quick look.

    Attributes:
        scale: 1 for figures to be published, less for a quick look.
    """

    scale: float = 1.0

    def of(self, count: int) -> int:
        """So much of this count, at least one."""
        return max(1, round(count * self.scale))


class System(Protocol):
    """A task queue that is measured, or one way to run it.

    Attributes:
        name: What it is called in tables.
        stands_on: What keeps its tasks and how durably, in a few words.
    """

    name: str
    stands_on: str

    @property
    def caveats(self) -> tuple[str, ...]:
        """Where it does less, or something else, than the others, a sentence each."""

    def missing(self) -> str | None:
        """What it needs and this machine does not have; None if it can be measured."""

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """One round: start it in the empty directory, measure, stop it.

        Yields each sample as soon as it is there, so that progress can be shown. Everything it
        started is stopped when the iterator ends, and when it is closed early.
        """
