"""What an import has to remember, so that it goes on after a kill and publishes nothing twice.

Before a batch is sent, it is noted which lines it has; a batch is known to the server by the number
of its first line, by the idempotency key. So after a kill exactly this batch is sent again: if it
was published, the server answers as it did then.
"""

import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from task_queue.api.commands.errors import CommandError
from task_queue.api.commands.import_lines import Batch

KEPT_SECONDS = 86_400
"""How long the server knows an idempotency key."""


@dataclass(slots=True)
class Import:
    """What has come of an import so far.

    Attributes:
        published: How many tasks are new.
        duplicates: How many were there before, with the same unique key.
        bad: How many lines are no task that the server takes.
    """

    published: int = 0
    duplicates: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Began:
    """The batch that was sent last.

    Attributes:
        line: The number of its first line.
        offset: Where that begins.
        count: How many lines it has.
        digest: Of these.
        at: When it was sent.
        done: What had come of all before it.
    """

    line: int
    offset: int
    count: int
    digest: str
    at: float
    done: Import = field(default_factory=Import)


class State:
    """What is remembered, beside the file that is imported.

    Attributes:
        id: Of this import: the beginning of its idempotency keys.
        began: The batch that was sent last by a former run.
    """

    def __init__(
        self, import_id: str, address: str, path: Path | None, began: Began | None
    ) -> None:
        """Remember this; see `of_file` and `of_stream`."""
        self.id = import_id
        self.began = began
        self._address, self._path = address, path

    @classmethod
    def of_stream(cls) -> "State":
        """Return the state of what cannot be read again, which is not kept."""
        return cls(secrets.token_hex(8), "", None, None)

    @classmethod
    def of_file(cls, file: Path, address: str, *, anew: bool) -> "State":
        """Return what is remembered of this file's import.

        Args:
            file: What is imported.
            address: Where to.
            anew: Whether to forget it.

        Raises:
            CommandError: The import cannot go on.
        """
        path = file.with_name(f"{file.name}.import")
        if anew or not path.exists():
            return cls(secrets.token_hex(8), address, path, None)
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())
            began = kept["began"]
            state = cls(
                kept["id"],
                kept["address"],
                path,
                Began(**began | {"done": Import(**began["done"])}),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path} does not say how far the import is: delete it to begin anew"
            raise CommandError(message) from error
        state._check_is_the_same(address)
        return state

    def _check_is_the_same(self, address: str) -> None:
        assert self.began is not None  # noqa: S101 - it was read from there
        line, last = self.began.line, self.began.line + self.began.count - 1
        if self._address != address:
            raise CommandError(
                f"an import of this file to {self._address} was cut off at line {line}: go on"
                " there, or begin anew with --from 1"
            )
        if time.time() - self.began.at > KEPT_SECONDS:
            raise CommandError(
                f"the import was cut off more than a day ago: whether the lines {line} to {last}"
                f" were published is not known any more; look, and go on with --from {line} or"
                f" --from {last + 1}"
            )

    @property
    def is_kept(self) -> bool:
        """Whether a run after this one knows of it."""
        return self._path is not None

    def check(self, batch: Batch) -> None:
        """Accept the batch that is sent again.

        Raises:
            CommandError: The file has other lines there by now.
        """
        if self.began is not None and batch.digest != self.began.digest:
            raise CommandError(
                f"the file has changed at line {batch.first} since its import was cut off there:"
                " begin anew with --from"
            )

    def save(self, batch: Batch, done: Import) -> None:
        """Remember that this batch is sent next; when this returns, that is on disk.

        Raises:
            CommandError: It cannot be written.
        """
        if self._path is None:
            return
        began = Began(batch.first, batch.offset, len(batch.lines), batch.digest, time.time(), done)
        kept = {"id": self.id, "address": self._address, "began": asdict(began)}
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("w") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            message = (
                f"cannot write {self._path}, which remembers how far the import is"
                f" ({error.strerror}): `task-queue import - < FILE` does without"
            )
            raise CommandError(message) from error

    def remove(self) -> None:
        """Forget it: all is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
