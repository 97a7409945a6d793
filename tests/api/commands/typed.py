"""Commands as they are typed, in this process: what they print, and their exit codes."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from task_queue.api.cli import main
from tests.harness import ServerProcess


@dataclass(frozen=True, slots=True)
class Said:
    """What a command has said.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """The one JSON value that it printed."""
        assert self.code == 0, self.err
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def line(self) -> str:
        """The one line that it printed."""
        assert self.code == 0, self.err
        (line,) = self.out.splitlines()
        return line

    @property
    def complaint(self) -> str:
        """The last line on standard error, which says what is wrong."""
        assert self.code != 0, self.out
        line = self.err.splitlines()[-1]
        assert line.startswith("task-queue: "), self.err
        return line.removeprefix("task-queue: ")


Type = Callable[..., Said]


def typing_at(
    server: ServerProcess | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Type:
    """What types a command, at this server."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("TASK_QUEUE_KEY", raising=False)
    if server is None:
        monkeypatch.delenv("TASK_QUEUE_URL", raising=False)
    else:
        monkeypatch.setenv("TASK_QUEUE_URL", str(server.client.base_url))

    def typed(*words: str) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["task-queue", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return typed
