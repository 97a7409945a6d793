"""`task-queue export`: tasks as lines of JSON."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from task_queue.actors.tasks.text import counted
from task_queue.api.commands import show
from task_queue.api.commands.errors import CommandError, UsageError
from task_queue.api.commands.filters import Query, with_filters
from task_queue.api.commands.progress import progress
from task_queue.api.commands.server import Server, asks_server


@dataclass(slots=True)
class _Place:
    """How far an export has come.

    Attributes:
        count: How many tasks are written.
        length: How many bytes.
        second: When the last of them was published.
        ids: Those that were published in that second: the order of one second's is not known.
    """

    count: int = 0
    length: int = 0
    second: float | None = None
    ids: set[str] = field(default_factory=set)

    def has(self, task: Mapping[str, Any]) -> bool:
        """Return whether the task is written already."""
        return task["id"] in self.ids

    def add(self, task: Mapping[str, Any], line: bytes) -> None:
        """Count a task that was written."""
        if task["created_at"] != self.second:
            self.second, self.ids = task["created_at"], set()
        self.ids.add(task["id"])
        self.count += 1
        self.length += len(line)


@asks_server
@with_filters
def export_tasks(
    query: Query,
    server: Server,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where to; standard output unless given."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an export to this file was cut off.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
) -> None:
    """Write tasks as lines of JSON (NDJSON), the oldest first."""
    if file is None or str(file) == "-":
        if resume:
            raise UsageError("--resume needs a FILE")
        with _writing("standard output"):
            _write(_pages(server, query), sys.stdout.buffer, _Place())
        return
    place = _place_in(file) if resume and file.exists() else _Place()
    since = {} if place.second is None else {"created_after": place.second}
    # Before the file is touched: what is in it stays if no server answers, or the query is refused.
    pages = _pages(server, {**query, **since})
    with _opened(file, place, is_new=not (resume or force)) as output:
        if place.count:
            show.note(f"going on after {counted(place.count, 'task')}")
        try:
            _write(pages, output, place)
        except BaseException:
            if place.count:
                show.note(f"{counted(place.count, 'task')} in {file} so far; --resume goes on")
            else:
                file.unlink()
            raise
    show.note(f"{counted(place.count, 'task')} in {file}")


@contextmanager
def _opened(file: Path, place: _Place, *, is_new: bool) -> Iterator[BinaryIO]:
    with _writing(str(file)):
        try:
            output = file.open("xb" if is_new else "ab")
        except FileExistsError as error:
            message = f"{file} is there already: --resume goes on with it, --force writes over it"
            raise UsageError(message) from error
        with output:
            output.truncate(place.length)
            yield output
            output.flush()
            os.fsync(output.fileno())


@contextmanager
def _writing(to: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads has seen enough
    except OSError as error:
        raise CommandError(f"cannot write {to}: {error.strerror}") from error


def _place_in(file: Path) -> _Place:
    """Return how far the export in a file has come: up to its last whole line.

    Raises:
        CommandError: It is no export.
    """
    place = _Place()
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    task = json.loads(line)
                    place.add({"id": task["id"], "created_at": task["created_at"]}, line)
                except (ValueError, KeyError, TypeError) as error:
                    message = f"line {number} of {file} is no task: this is no export"
                    raise CommandError(message) from error
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    return place


def _pages(server: Server, query: Query) -> Iterator[Mapping[str, Any]]:
    """Return the pages, the oldest tasks first; of these the first one is there already."""
    pages = server.pages("/tasks", {**query, "order": "oldest"})
    return chain([next(pages)], pages)


def _write(pages: Iterator[Mapping[str, Any]], output: BinaryIO, place: _Place) -> None:
    with progress("tasks", None) as bar:
        for page in pages:
            for task in page["tasks"]:
                if not place.has(task):
                    text = json.dumps(task, ensure_ascii=False, separators=(",", ":"))
                    line = text.encode("utf-8", "backslashreplace") + b"\n"
                    output.write(line)
                    place.add(task, line)
            output.flush()
            bar(place.count)
