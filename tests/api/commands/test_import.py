"""An import that is cut off goes on, and publishes each line once."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from task_queue.api.commands import import_lines
from task_queue.api.commands.import_lines import Batch
from task_queue.api.commands.import_state import Import, State
from tests.api.commands.typed import typing_at
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    """A server that starts nothing."""
    server = serve_all().start()
    server.client.post("/queues/tasks/pause")
    return server


def published(server: ServerProcess, action: str) -> "Counter[int]":
    """How often the line with each number was published."""
    numbers: Counter[int] = Counter()
    query: dict[str, Any] = {"limit": 1_000, "action": action}
    while True:
        page = server.client.get("/tasks", params=query)
        if page.is_error:  # nothing was published yet: no such action
            return numbers
        found = page.json()
        numbers.update(task["payload"]["data"]["n"] for task in found["tasks"])
        if found["next_cursor"] is None:
            return numbers
        query["cursor"] = found["next_cursor"]


@pytest.mark.parametrize("cuts", [[1], [2], [3], [5], [7], [9], [3, 1, 1], [6, 2, 3, 1]])
def test_wherever_it_is_cut_off_each_line_is_published_once(
    cuts: list[int],
    server: ServerProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cut off before it notes the batch that is next, when the one before was published."""
    typed = typing_at(server, monkeypatch, capsys)
    monkeypatch.setattr(import_lines, "MAX_LINES", 10)
    action = f"cut-{'-'.join(map(str, cuts))}"
    lines = [json.dumps({"action": action, "data": {"n": n}}) for n in range(40)]
    lines[13] = json.dumps({"action": action, "data": {"n": 13}, "priority": 101})
    lines[14] = "{oops"
    file = tmp_path / "tasks.ndjson"
    file.write_text("\n".join(lines))
    save = State.save
    left = 0

    def cut_off(self: State, batch: Batch, done: Import) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        save(self, batch, done)

    monkeypatch.setattr(State, "save", cut_off)
    for cut in cuts:
        left = cut
        said = typed("import", str(file))
        assert said.code == 130
        assert "the same command goes on" in said.err
    monkeypatch.setattr(State, "save", save)
    said = typed("import", str(file))
    assert said.code == 1  # of the bad lines
    assert published(server, action) == Counter(n for n in range(40) if n not in {13, 14})
    assert "38 tasks published" in said.out
    assert not Path(f"{file}.import").exists()


def test_an_import_that_was_killed_goes_on(server: ServerProcess, tmp_path: Path) -> None:
    count = 30_000
    file = tmp_path / "tasks.ndjson"
    lines = (json.dumps({"action": "killed", "data": {"n": n}}) for n in range(count))
    file.write_text("\n".join(lines))
    command = [sys.executable, "-m", "task_queue", "import", file.name]
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TASK_QUEUE_URL": str(server.client.base_url),
    }

    def queued() -> int:
        return int(server.client.get("/queues/tasks").json()["counts"]["queued"])

    before = queued()
    for goal in (before + 1_000, before + 9_000):
        with subprocess.Popen(
            command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE
        ) as process:
            eventually(lambda goal=goal: queued() >= goal, "it has begun")  # type: ignore[misc]
            process.kill()
            _, error = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == -signal.SIGKILL
        assert (tmp_path / "tasks.ndjson.import").exists()
    assert error.startswith(b"going on at line ")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{count} tasks published\n"
    assert queued() - before == count
    assert set(published(server, "killed").values()) == {1}
    assert [each.name for each in tmp_path.iterdir()] == ["tasks.ndjson"]
