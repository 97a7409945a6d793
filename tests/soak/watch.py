"""Looks at a server from outside, again and again, and says whether it stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median, quantiles

import psutil

MIB = 1_048_576
FEWEST = 8
"""Of fewer samples nothing is said."""
MORE_MIB = 8.0
MORE_TIMES = 1.05
"""What memory may grow by, whichever of the two is more."""
MORE = 2.0
"""What anything else may grow by."""
MORE_DESCRIPTORS = 4 * MORE
"""What descriptors may grow by: each of the processes, which may be more, has four."""
_COLUMN_CHARS = 7


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        second: Since the start of the load.
        server_mib: Resident memory of the server's process.
        threads: Of that process.
        descriptors: That it has open.
        processes: That it or an action has started, idle ones included.
        zombies: Those of them that are dead and were not waited for.
        processes_mib: Resident memory of them all.
        process_mib: That divided by how many they are.
        p50_ms: What half of the publishes since the last look took at most.
        p99_ms: What 99 of 100 did.
        scheduled: Tasks in this state.
        queued: As above.
        running: As above.
        completed: As above, until they are forgotten.
        dead: As above.
        cancelled: As above.
    """

    second: float
    server_mib: float
    threads: float
    descriptors: float
    processes: float
    zombies: float
    processes_mib: float
    process_mib: float
    p50_ms: float
    p99_ms: float
    scheduled: float
    queued: float
    running: float
    completed: float
    dead: float
    cancelled: float


BOUNDED = ("server_mib", "threads", "descriptors", "processes", "zombies", "process_mib")
"""What must not grow. The memory of all processes is none of it: it shows how many there are at the
moment, and that varies, since warm ones die of what they run."""


@dataclass(frozen=True)
class Series:
    """What one of them did.

    Attributes:
        name: As in `Sample`.
        before: The median of the second quarter.
        after: The median of the last quarter.
        is_flat: Whether it has not grown; None: there are too few samples to say.
    """

    name: str
    before: float
    after: float
    is_flat: bool | None

    def line(self) -> str:
        verdict = {True: "flat", False: "NOT FLAT", None: "too short to say"}[self.is_flat]
        return f"{self.name:<14} {self.before:9.1f} → {self.after:9.1f}  {verdict}"


def series(samples: Sequence[Sample]) -> list[Series]:
    """What each bounded series did."""
    found = []
    quarter = max(1, len(samples) // 4)
    for name in BOUNDED:
        values = [float(getattr(sample, name)) for sample in samples]
        before = median(values[quarter : 2 * quarter] or values)
        after = median(values[-quarter:])
        most = before + (MORE_DESCRIPTORS if name == "descriptors" else MORE)
        if name.endswith("_mib"):
            most = max(before + MORE_MIB, before * MORE_TIMES)
        is_flat = after <= most if len(samples) >= FEWEST else None
        found.append(Series(name, before, after, is_flat))
    return found


def sample(
    pid: int,
    directory: Path,
    second: float,
    publishes: Sequence[float],
    counts: Mapping[str, int],
) -> Sample:
    """Look at the server now.

    Args:
        pid: Of its process.
        directory: Where it runs, and nobody else.
        second: Since the start.
        publishes: How many seconds each took since the last look.
        counts: The tasks by state.
    """
    server = psutil.Process(pid)
    with server.oneshot():
        memory, threads = server.memory_info().rss, server.num_threads()
    descriptors = server.num_fds()
    others = {*server.children(recursive=True), *running_in(directory)} - {server}
    memories = [_resident(each) for each in others]
    resident = [each / MIB for each in memories if each is not None]
    cuts = quantiles(publishes, n=100, method="inclusive") if len(publishes) > 1 else [0.0] * 99
    return Sample(
        second=round(second, 1),
        server_mib=round(memory / MIB, 1),
        threads=threads,
        descriptors=descriptors,
        processes=len(resident),
        zombies=resident.count(0),
        processes_mib=round(sum(resident), 1),
        process_mib=round(sum(resident) / max(1, len(resident)), 1),
        p50_ms=round(cuts[49] * 1e3, 2),
        p99_ms=round(cuts[98] * 1e3, 2),
        **counts,
    )


def running_in(directory: Path) -> list[psutil.Process]:
    """The processes that run in this directory, whoever their parents are by now."""
    return [each for each in psutil.process_iter() if _directory(each) == str(directory.resolve())]


def zombies(pid: int) -> int:
    """How many processes of the server's are dead and were not waited for."""
    return sum(_resident(each) == 0 for each in psutil.Process(pid).children(recursive=True))


def name(process: psutil.Process) -> str:
    """What it is called, as long as it is there."""
    try:
        return process.name()
    except psutil.Error:
        return "a process that has ended by now"


def header() -> str:
    """The head of the table."""
    return "  ".join(f"{field.name:>{_COLUMN_CHARS}}" for field in fields(Sample))


def row(sample: Sample) -> str:
    """A line of the table."""
    return "  ".join(
        f"{value:>{max(_COLUMN_CHARS, len(name))},}" for name, value in asdict(sample).items()
    )


def _directory(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except psutil.Error:
        return None


def _resident(process: psutil.Process) -> int | None:
    """What it occupies; nothing of a zombie; None if it is gone."""
    try:
        return 0 if process.status() == psutil.STATUS_ZOMBIE else process.memory_info().rss
    except psutil.Error:
        return None
