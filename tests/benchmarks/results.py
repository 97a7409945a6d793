"""Everything a run brings to light, kept as JSON, so that reports can be made of it again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter

from tests.benchmarks.system import Sample, System


@dataclass(frozen=True, slots=True)
class Summary:
    """One figure over all rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class About:
    """What a table says of a system beside its figures; as in `System`."""

    name: str
    stands_on: str
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A sample, and in which round it was taken."""

    round: int
    sample: Sample


@dataclass
class Results:
    """One run of the benchmark.

    Attributes:
        machine: Name and value of what it ran on.
        command: What started it.
        rounds: How many were asked for.
        scale: Of the work, as in `Size`.
        started: When.
        systems: Those that were measured.
        missing: Those that could not be, with the reason.
        failed: Those that raised an error, with the error.
        taken: Every sample, in the order they came.
    """

    machine: dict[str, str]
    command: str
    rounds: int
    scale: float
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    systems: list[About] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)

    def add_system(self, system: System) -> None:
        """Note that it takes part."""
        self.systems.append(About(system.name, system.stands_on, system.caveats))

    def of(self, system: str, measure: str, variant: str = "") -> Summary | None:
        """The figure over all rounds; None if it was never measured."""
        values = [
            taken.sample.value
            for taken in self.taken
            if (taken.sample.system, taken.sample.measure, taken.sample.variant)
            == (system, measure, variant)
        ]
        return Summary(median(values), min(values), max(values)) if values else None

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_bytes(_ADAPTER.dump_json(self, indent=1))

    @staticmethod
    def load(path: Path) -> "Results":
        """Read what `save` wrote."""
        return _ADAPTER.validate_json(path.read_bytes())


_ADAPTER = TypeAdapter(Results)
