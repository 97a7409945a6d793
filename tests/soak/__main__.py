"""`make soak`: a server under a mixed load, and whether it stays as it was."""

import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from tests.soak.run import soak


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long the load goes on.")] = 10.0,
    output: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where the results are written.")
    ] = Path("soak-results"),
) -> None:
    """Run it, write what came of it, and fail if something grew or went wrong."""
    with TemporaryDirectory(prefix="task-queue-soak-") as directory:
        report = soak(Path(directory), 60 * minutes, every_seconds=5.0, say=print)
    report.save(output)
    print(report.summary())
    raise SystemExit(0 if report.is_good else 1)


if __name__ == "__main__":
    # As Ctrl-C does: every block ends, and with it what it started.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    typer.run(main)
