"""Tasks as lines: an export and an import that are cut off go on, and publish each line once."""

import fcntl
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
from tests.api.commands.typed import Type
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually, free_port

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
    typed: Type,
    server: ServerProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut off before it notes the batch that is next, when the one before was published."""
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


def test_an_export_is_lines_of_tasks_and_goes_on(typed: Type, tmp_path: Path) -> None:
    for number in range(5):
        typed("publish", "export", f"number={number}")
    file = tmp_path / "out.ndjson"
    assert typed("export", str(file), "--action", "export").err == f"5 tasks in {file}\n"
    whole = file.read_bytes()
    assert typed("export", "--action", "export").out.encode() == whole
    assert "--resume goes on with it" in typed("export", str(file)).complaint
    file.write_bytes(whole[: len(whole) // 2])
    typed("export", str(file), "--action", "export", "--resume")
    assert file.read_bytes() == whole
    file.write_text("{}\n")
    assert "line 1 of" in typed("export", str(file), "--resume").complaint
    typed("export", str(file), "--action", "export", "--force")
    assert file.read_bytes() == whole
    assert (
        typed("export", str(file), "--force", "--url", f"http://127.0.0.1:{free_port()}").code == 3
    )
    assert typed("export", str(file), "--force", "--status", "asleep").code == 2
    assert file.read_bytes() == whole  # nothing could be written in its place
    typed("purge", "tasks", "--yes")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_an_export_to_what_is_full_says_so(server: ServerProcess) -> None:
    server.publish("export")
    url = str(server.client.base_url)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "task_queue", "export", "--url", url],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    complaint = b"task-queue: cannot write standard output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, complaint)


def test_a_file_is_imported_by_one_process_at_a_time(
    typed: Type, tmp_path: Path, server: ServerProcess
) -> None:
    file = tmp_path / "in.ndjson"
    file.write_text('{"action": "twice", "queue": "tasks"}\n')
    with file.open("rb") as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        assert typed("import", str(file)).complaint == f"{file} is being imported already"
    assert server.client.get("/tasks?action=twice").json()["count"] == 0
    assert typed("import", str(file)).line == "1 task published"
    typed("purge", "tasks", "--yes")


def test_bad_lines_of_an_import_are_named_and_the_others_published(
    typed: Type, tmp_path: Path, server: ServerProcess
) -> None:
    good = '{"action": "import", "queue": "tasks"}\n'
    bad = {3: "{oops\n", 9: '{"action": "import", "queue": "fax"}\n', 30: '{"action": ""}\n'}
    file = tmp_path / "in.ndjson"
    file.write_text("".join(bad.get(number, good) for number in range(1, 41)))
    typed("purge", "tasks", "--yes")
    said = typed("import", str(file), "--json")
    assert said.code == 1
    assert said.complaint == "3 lines not published"
    assert [line.partition(":")[0] for line in said.err.splitlines()[:-1]] == [
        "line 3",
        "line 9",
        "line 30",
    ]
    assert '"published":37,"duplicates":0,"bad":3' in said.out
    assert [each.name for each in tmp_path.iterdir()] == ["in.ndjson"]
    counts = server.client.get("/queues/tasks").json()["counts"]
    assert counts["queued"] == 37
    typed("purge", "tasks", "--yes")
