"""`make bench`: measure all systems; `python -m tests.benchmarks report DIRECTORY`: write again."""

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from task_queue.config.layers import TEST_PREFIX
from task_queue.config.settings import PREFIX
from tests.benchmarks import machine
from tests.benchmarks.charts import draw
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Results
from tests.benchmarks.run import SYSTEMS, run
from tests.benchmarks.system import System
from tests.benchmarks.systems.task_queue_dashboard import TaskQueueDashboard
from tests.benchmarks.systems.task_queue_growth import TaskQueueGrowth

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.callback(invoke_without_command=True)
def bench(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    rounds: Annotated[int, typer.Option(min=1, help="How often each system is measured.")] = 3,
    growth_rounds: Annotated[
        int, typer.Option(min=0, help="How often large tables are; they take long.")
    ] = 1,
    scale: Annotated[
        float, typer.Option(min=0.01, max=1, help="How much of the work; less for a quick look.")
    ] = 1.0,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this system. Repeatable.")
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where the results are written.")
    ] = Path("bench-results"),
) -> None:
    """Measure this system and its peers in turn, and write what came of it."""
    if context.invoked_subcommand:
        return
    chosen = [system for system in SYSTEMS if not only or system.name in only]
    if unknown := set(only or ()) - {system.name for system in SYSTEMS}:
        known = ", ".join(system.name for system in SYSTEMS)
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}; known: {known}")
    output.mkdir(parents=True, exist_ok=True)

    def rounds_of(system: System) -> int:
        takes_long = isinstance(system, TaskQueueGrowth | TaskQueueDashboard)
        return min(rounds, growth_rounds) if takes_long else rounds

    results = Results(machine.describe(), _command(), rounds, scale)
    run(chosen, results, rounds_of, lambda: results.save(output / "results.json"), console)
    _write(results, output)
    raise SystemExit(1 if results.failed else 0)


@app.command()
def report(directory: Annotated[Path, typer.Argument(metavar="DIRECTORY")]) -> None:
    """Make the tables and plots again from the directory's `results.json`."""
    _write(Results.load(directory / "results.json"), directory)


def _write(results: Results, directory: Path) -> None:
    text = markdown(results)
    (directory / "results.md").write_text(text, "utf-8")
    draw(results, directory)
    console.print(Markdown(text))


def _command() -> str:
    """What started this run, as it is repeated."""
    options = shlex.join(sys.argv[1:])
    return f'make bench ARGS="{options}"' if options else "make bench"


def _use_defaults() -> None:
    """Forget the settings of this shell: what is measured are the defaults."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX):
            del os.environ[name]


if __name__ == "__main__":
    _use_defaults()
    # As Ctrl-C does: every block ends, and with it what it started.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    app()
