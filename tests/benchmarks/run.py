"""Measures all systems in turn, round after round, and tells what comes of it."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from rich.console import Console
from rich.markup import escape

from tests.benchmarks.measures import BY_KEY
from tests.benchmarks.results import Results, Taken
from tests.benchmarks.shown import shown
from tests.benchmarks.system import Sample, Size, System
from tests.benchmarks.systems.behind_http import CeleryBehindHTTP, HueyBehindHTTP
from tests.benchmarks.systems.celery import Celery
from tests.benchmarks.systems.dramatiq import Dramatiq
from tests.benchmarks.systems.huey import Huey
from tests.benchmarks.systems.procrastinate import Procrastinate
from tests.benchmarks.systems.rq import RQ
from tests.benchmarks.systems.task_queue import TaskQueue
from tests.benchmarks.systems.task_queue_cpu import TaskQueueCPU
from tests.benchmarks.systems.task_queue_dashboard import TaskQueueDashboard
from tests.benchmarks.systems.task_queue_growth import TaskQueueGrowth
from tests.benchmarks.systems.task_queue_keys import TaskQueueKeys
from tests.benchmarks.systems.task_queue_waiting import TaskQueueWaiting

SYSTEMS: tuple[System, ...] = (
    TaskQueue(),
    TaskQueueCPU(),
    TaskQueueKeys(),
    TaskQueueWaiting(),
    TaskQueueGrowth(),
    TaskQueueDashboard(),
    Huey(),
    RQ(),
    Dramatiq(),
    Celery(),
    Procrastinate(),
    HueyBehindHTTP(),
    CeleryBehindHTTP(),
)
"""All that are measured, in this order."""

_MAX_ERROR_CHARS = 300


def run(
    systems: Sequence[System],
    results: Results,
    rounds: Callable[[System], int],
    save: Callable[[], None],
    console: Console,
) -> None:
    """Measure each system once in every round, so that what changes on the machine hits all.

    A system that lacks something is left out. One that fails is left out from then on; what it
    has yielded before stays.

    Args:
        systems: In the order in which they are measured and shown.
        results: What to measure, and where to keep what comes of it.
        rounds: In how many of the rounds a system takes part, from the first on.
        save: Called whenever there is more to keep.
        console: Where progress is shown.
    """
    present = []
    for system in systems:
        if (reason := system.missing()) is None:
            results.add_system(system)
            present.append(system)
        else:
            results.missing[system.name] = reason
            console.print(f"[yellow]{escape(system.name)} is left out:[/] {escape(reason)}")
    for number in range(1, results.rounds + 1):
        for system in present:
            if number > rounds(system) or system.name in results.failed:
                continue
            with console.status(f"round {number} of {results.rounds}: {escape(system.name)}"):
                _measure(system, number, results, console)
            save()


def _measure(system: System, number: int, results: Results, console: Console) -> None:
    try:
        with (
            TemporaryDirectory(prefix="task-queue-benchmark-") as directory,
            closing(_samples(system, Path(directory), Size(results.scale))) as samples,
        ):
            for sample in samples:
                results.taken.append(Taken(number, sample))
                line = f"[dim]round {number}[/] {_line(sample)}"
                console.print(line, highlight=False, soft_wrap=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are measured
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:_MAX_ERROR_CHARS]
        results.failed[system.name] = f"round {number}: {reason}"
        console.print(f"[red]{escape(system.name)} failed:[/] {escape(reason)}")


def _samples(system: System, directory: Path, size: Size) -> Generator[Sample, None, None]:
    return cast("Generator[Sample, None, None]", system.measure(directory, size))


def _line(sample: Sample) -> str:
    measure = BY_KEY[sample.measure]
    name = f"{sample.system}, {sample.variant}" if sample.variant else sample.system
    return f"[bold]{escape(name)}[/]  {measure.title}: {shown(sample.value, measure.unit)}"
