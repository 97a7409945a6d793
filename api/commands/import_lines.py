"""The lines of an import, in batches that the server takes."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from task_queue.actors.tasks.text import one_line
from task_queue.api.client.members import NewTask

MAX_LINES = 1_000
"""As many as the server takes at once."""
MAX_BYTES = 900_000
"""Of the lines of a batch, but for the last one: a little less than a body may have."""
MAX_LINE_BYTES = 16 * 2**20
"""Of a longer line no more is read into memory."""
_MEMBERS = (
    *("queue", "priority", "max_attempts", "backoff", "unique_key", "key"),
    *("keep_result_seconds", "timeout_seconds", "callback"),
)
"""What an exported task asks for besides its action and data."""
_WHILE_WAITING = ("run_at", "expires_at")
"""And what it asks for as long as it is not finished."""
_UNFINISHED = frozenset({"scheduled", "queued", "running"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file.

    Attributes:
        text: As it is there, its beginning if it is too long.
        size: How many bytes it has.
        task: What is to be published; None: nothing.
        problem: Why nothing, though it is not empty.
    """

    text: bytes
    size: int
    task: NewTask | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that are published together.

    Attributes:
        first: The number of the first one.
        offset: Where it begins in the file.
        lines: All of them.
    """

    first: int
    offset: int
    lines: list[Line]

    @property
    def tasks(self) -> list[NewTask]:
        """What is to be published."""
        return [line.task for line in self.lines if line.task is not None]

    @property
    def problems(self) -> Iterator[tuple[int, str]]:
        """The numbers of the lines that are no task, and why."""
        return (
            (number, line.problem)
            for number, line in enumerate(self.lines, self.first)
            if line.problem is not None
        )

    @property
    def digest(self) -> str:
        """By which it is known again."""
        return hashlib.sha256(b"".join(line.text for line in self.lines)).hexdigest()

    def halves(self) -> "Iterator[Batch]":
        """Yield the first half and the other one."""
        middle = len(self.lines) // 2
        yield Batch(self.first, self.offset, self.lines[:middle])
        passed = sum(line.size for line in self.lines[:middle])
        yield Batch(self.first + middle, self.offset + passed, self.lines[middle:])


class Lines:
    """The lines of a file or stream.

    Attributes:
        offset: How many bytes are read.
    """

    def __init__(self, source: BinaryIO) -> None:
        """Begin at the first line."""
        self.offset = 0
        self._source = source
        self._number = 1

    def seek(self, offset: int, number: int) -> None:
        """Go on at a line whose place is known."""
        self._source.seek(offset)
        self.offset, self._number = offset, number

    def skip(self, count: int) -> None:
        """Pass so many lines."""
        for _ in range(count):
            self.offset += len(self._source.readline())
            self._number += 1

    def batch(self, count: int | None) -> Batch | None:
        """Return the next lines; None: there are none.

        Args:
            count: How many there are to be, as the same ones are sent again; None: as many as go.
        """
        batch = Batch(self._number, self.offset, [])
        size, most = 0, MAX_LINES if count is None else count
        while len(batch.lines) < most and (count is not None or size < MAX_BYTES):
            text = self._source.readline(MAX_LINE_BYTES)
            if not text:
                break
            line = self._too_long(text) if len(text) == MAX_LINE_BYTES else _line(text)
            batch.lines.append(line)
            size += line.size
        self.offset += size
        self._number += len(batch.lines)
        return batch if batch.lines else None

    def _too_long(self, text: bytes) -> Line:
        size, rest = len(text), text
        while rest and not rest.endswith(b"\n"):
            rest = self._source.readline(MAX_LINE_BYTES)
            size += len(rest)
        return Line(text, size, problem=f"it is longer than {MAX_LINE_BYTES} bytes")


def _line(text: bytes) -> Line:
    if not text.strip():
        return Line(text, len(text))
    task = _task(text)
    if isinstance(task, str):
        return Line(text, len(text), problem=task)
    return Line(text, len(text), task)


def _task(text: bytes) -> NewTask | str:
    """Return what is to be published, or why nothing is."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"it is no JSON: {one_line(str(error))}"
    if not isinstance(document, dict):
        return "it is no JSON object"
    wish = _of_export(document) if isinstance(document.get("payload"), dict) else dict(document)
    action, data = wish.pop("action", None), wish.pop("data", None)
    if not isinstance(action, str) or not action:
        return "action is missing or no text; it names what to do"
    if not isinstance(data, Mapping | None):
        return "data must be an object"
    return NewTask(action, data, wish)  # type: ignore[arg-type] # the server checks it


def _of_export(task: dict[str, Any]) -> dict[str, Any]:
    """Return the task that publishes the same again: what is finished as soon as possible."""
    names: tuple[str, ...] = _MEMBERS
    if task.get("status") in _UNFINISHED:
        names += _WHILE_WAITING
    wish = {name: task[name] for name in names if task.get(name) is not None}
    if (wish.get("run_at") or 0) <= time.time():
        wish.pop("run_at", None)
    payload = task["payload"]
    return wish | {"action": payload.get("action"), "data": payload.get("data")}
