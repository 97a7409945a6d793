"""A progress bar on standard error, where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(
    what: str, total: int | None, *, is_bytes: bool = False
) -> Iterator[Callable[[int], None]]:
    """Yield what moves the bar to so many.

    Args:
        what: What is counted.
        total: How many there are; None: unknown.
        is_bytes: Whether bytes are counted.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # noqa: PLC0415 - what is piped does without
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
    )

    counts = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = ("{task.description}", BarColumn(), counts, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
