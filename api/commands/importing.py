"""`task-queue import`: publishes tasks from lines of JSON, each once, also after a kill."""

import fcntl
import sys
from pathlib import Path
from typing import Annotated

import typer

from task_queue.actors.tasks.text import counted
from task_queue.api.client.errors import RefusedError
from task_queue.api.client.results.tasks import PublishedBatch
from task_queue.api.commands import options, show
from task_queue.api.commands.errors import CommandError
from task_queue.api.commands.import_lines import Batch, Lines
from task_queue.api.commands.import_state import Import, State
from task_queue.api.commands.progress import progress
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.standard_streams import say

MAX_SHOWN = 20
"""How many bad lines are named."""
_BAD = frozenset({400, 413})
"""The statuses of a batch with a task that is wrong, or one that is too long."""


@asks_server
def import_tasks(
    server: Server,
    *,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="Lines of JSON.", show_default=False)
    ],
    first: Annotated[
        int | None,
        typer.Option("--from", min=1, metavar="LINE", help="Begin anew, at this line."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Publish tasks from lines of JSON, as `publish` takes or `export` writes them.

    An import that was cut off goes on where it was when it is started again: what it has to know
    for that is in FILE.import. Nothing is published twice.
    """
    if file == "-":
        run = _Run(server, State.of_stream(), Lines(sys.stdin.buffer))
        run.go(first or 1, None)
    else:
        path = Path(file)
        try:
            with path.open("rb") as source:
                fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed
                state = State.of_file(path, server.address, anew=first is not None)
                run = _Run(server, state, Lines(source))
                run.go(first or 1, path.stat().st_size)
        except BlockingIOError as error:
            raise CommandError(f"{file} is being imported already") from error
        except OSError as error:
            raise CommandError(f"cannot use {file}: {error.strerror}") from error
        state.remove()
    run.show(as_json=as_json)


class _Run:
    """An import that runs.

    Attributes:
        done: What has come of it so far.
    """

    def __init__(self, server: Server, state: State, lines: Lines) -> None:
        self.done = Import()
        self._server, self._state, self._lines = server, state, lines
        self._bad: list[dict[str, object]] = []

    def go(self, first: int, size: int | None) -> None:
        """Publish all lines from this one on, or from where it was cut off.

        Raises:
            CommandError: It cannot go on now.
        """
        began = self._state.began
        if began is None:
            self._lines.skip(first - 1)
            count = None
        else:
            self.done = began.done
            self._lines.seek(began.offset, began.line)
            count = began.count
            show.note(f"going on at line {began.line}")
        with progress("import", size, is_bytes=True) as bar:
            try:
                while batch := self._lines.batch(count):
                    if count is not None:
                        self._state.check(batch)
                        count = None
                    self._send(batch)
                    bar(self._lines.offset)
            except BaseException:
                self._say_how_to_go_on()
                raise

    def _send(self, batch: Batch) -> None:
        """Publish a batch, in ever smaller parts if something is wrong with it."""
        self._state.save(batch, self.done)
        tasks = batch.tasks
        if tasks:
            try:
                key = f"{self._state.id}-{batch.first}-{len(batch.lines)}"
                self._count(self._server.client.publish_batch(tasks, idempotency_key=key))
            except RefusedError as error:
                if error.status not in _BAD:
                    raise
                if len(batch.lines) > 1:
                    for half in batch.halves():
                        self._send(half)
                    return
                self._is_bad(batch.first, str(error).removeprefix("tasks[0]."))
        for number, problem in batch.problems:
            self._is_bad(number, problem)

    def _count(self, published: PublishedBatch) -> None:
        self.done.published += len(published.ids) - published.duplicates
        self.done.duplicates += published.duplicates

    def _is_bad(self, line: int, problem: str) -> None:
        self.done.bad += 1
        if len(self._bad) < MAX_SHOWN:
            self._bad.append({"line": line, "error": problem})
            show.note(f"line {line}: {problem}")

    def _say_how_to_go_on(self) -> None:
        hint = "; the same command goes on" if self._state.is_kept else ""
        show.note(f"{counted(self.done.published, 'task')} published so far{hint}")

    def show(self, *, as_json: bool) -> None:
        """Show what has come of it.

        Raises:
            CommandError: There were bad lines.
        """
        done = self.done
        if as_json:
            counts = {"published": done.published, "duplicates": done.duplicates, "bad": done.bad}
            show.document({**counts, "bad_lines": self._bad})
        else:
            twice = f", {done.duplicates} were there already" if done.duplicates else ""
            say(f"{counted(done.published, 'task')} published{twice}")
        if done.bad:
            raise CommandError(f"{counted(done.bad, 'line')} not published")
