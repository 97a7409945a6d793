"""The commands that ask a server, typed one by one."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from task_queue.api.commands import dead
from tests.api.commands.typed import Said, Type
from tests.api.keys import make_key
from tests.harness import ServerProcess, eventually, free_port

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with two queues, of which one starts nothing."""
    server = serve_all("queues.tasks.concurrency=2", "queues.slow.concurrency=1").start()
    server.client.post("/queues/slow/pause")
    return server


def test_publish_shows_the_id_or_waits_for_the_result(typed: Type, server: ServerProcess) -> None:
    task_id = typed("publish", "sum", "numbers=[1,2]", "--priority", "3", "--keep", "1h").line
    task = server.wait_for_status(task_id, "completed")
    assert (task["priority"], task["keep_result_seconds"]) == (3, 3_600)
    assert typed("publish", "sum", "numbers=[1,2]", "--wait", "30").line == '{"output": 3}'
    waited = typed("publish", "sum", "numbers=[1]", "--wait", "30", "--json").document
    assert (waited["status"], waited["result"]) == ("completed", {"output": 1})


def test_publish_takes_all_that_a_publish_can_ask_for(typed: Type) -> None:
    published = typed(
        *("publish", "sum", "--data", '{"numbers": [1]}', "--queue", "slow", "--delay", "1h"),
        *("--expires-at", "2d", "--max-attempts", "3", "--backoff", "base=2,cap=60"),
        *("--unique-key", "only", "--task-key", "acme", "--timeout", "90s", "--json"),
    ).document
    assert published["status"] == "scheduled"
    task = typed("tasks", "show", published["id"], "--json").document
    shown = {name: task[name] for name in ("queue", "max_attempts", "unique_key", "key")}
    assert shown == {"queue": "slow", "max_attempts": 3, "unique_key": "only", "key": "acme"}
    assert task["timeout_seconds"] == 90
    assert task["backoff"] == {"base": 2.0, "factor": None, "cap": 60.0} | task["backoff"]
    assert task["run_at"] - task["created_at"] == pytest.approx(3_600, abs=2)
    again = typed("publish", "sum", "--queue", "slow", "--unique-key", "only")
    assert again.line == published["id"]
    assert "is there already" in again.err
    typed("tasks", "cancel", published["id"])


def test_the_same_idempotency_key_publishes_once(typed: Type) -> None:
    words = ("publish", "sum", "numbers=[7]", "--idempotency-key", "cron-2026-11-28")
    assert typed(*words).line == typed(*words).line


def test_a_task_that_fails_is_exit_code_1_and_one_line(typed: Type) -> None:
    said = typed("publish", "sum", "numbers=none", "--wait", "30")
    assert said.code == 1
    assert said.complaint.endswith("is dead: data.numbers must be a list of numbers, not a string")
    later = typed("publish", "sum", "--delay", "1h", "--wait", "0.2")
    assert later.code == 1
    assert "scheduled after 0.2 seconds" in later.complaint


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["publish", "sum", "--queue", "fax"], 2, "queue 'fax' is not known; known: tasks, slow"),
        (["publish", "sum", "--priority", "101"], 2, "priority must be a whole number"),
        (["publish", "sum", "--delay", "soon"], 2, "--delay = soon: must be a duration"),
        (["publish", "sum", "--data", "[1]"], 2, "--data must be a JSON object"),
        (["tasks", "list", "--status", "lost"], 2, "status must be one of"),
        (["tasks", "show", "nothing"], 1, "there is no task 'nothing'"),
        (["tasks", "cancel"], 2, "which tasks to cancel? give ids, filters, or --all"),
        (["tasks", "retry", "1", "--queue", "tasks"], 2, "either ids or filters, not both"),
        (["queues", "show", "fax"], 1, "there is no queue 'fax'"),
        (["purge", "fax", "--yes"], 1, "there is no queue 'fax'"),
        (["schedules", "delete", "none", "--yes"], 1, "there is no schedule 'none'"),
        (["schedules", "set", "a", "sum", "--cron", "x"], 2, "cron"),
        (["dead", "redrive"], 2, "which dead tasks?"),
        (["dead", "list", "--status", "queued"], 2, "--status can only be dead here"),
        (["watch"], 2, "watch needs a terminal"),
        (["export", "--resume"], 2, "--resume needs a FILE"),
        (["import", "nowhere.ndjson"], 1, "cannot use nowhere.ndjson: No such file"),
        (["queues", "--url", "ftp://x"], 2, "the URL of the server must be like"),
        (["queues", "--key-file", "nowhere"], 2, "--key-file: cannot read nowhere"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    typed: Type, words: list[str], code: int, problem: str
) -> None:
    said = typed(*words)
    assert said.code == code
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert problem in said.complaint


def test_tasks_are_listed_by_filters(typed: Type) -> None:
    ids = [typed("publish", "mark", f"user={n}", "--queue", "slow").line for n in range(3)]
    found = typed("tasks", "list", "--action", "mark", "--json").document
    assert [task["id"] for task in found["tasks"]] == ids[::-1]
    assert (found["count"], found["next_cursor"]) == (3, None)
    oldest = typed("tasks", "list", "--action", "mark", "--oldest", "--limit", "2")
    head, *rows = oldest.out.splitlines()
    assert head.split() == ["id", "status", "action", "queue", *oldest_columns()]
    assert [row.split()[0] for row in rows] == ids[:2]
    assert "--limit shows more" in oldest.err
    by_data = typed("tasks", "list", "--data", "user=1", "--after", "1h", "--json").document
    assert [task["id"] for task in by_data["tasks"]] == [ids[1]]
    nothing = typed("tasks", "list", "--action", "mark", "--before", "1h")
    assert (nothing.code, len(nothing.out.splitlines())) == (0, 1)
    assert nothing.err == "no task matches\n"
    cancelled = typed("tasks", "cancel", "--action", "mark", "--yes")
    assert cancelled.line == "3 tasks cancelled"
    assert typed("tasks", "delete", "--action", "mark", "--yes", "--json").document == {
        "count": 3,
        "skipped": 0,
    }


def oldest_columns() -> list[str]:
    """The other columns of a listing."""
    return ["published", "attempt", "took", "error"]


def test_a_task_is_shown_with_its_attempts(typed: Type) -> None:
    dead = typed("publish", "sum", "numbers=none", "--wait", "30", "--json")
    task_id = dead.out.partition('"id":"')[2].partition('"')[0]
    lines = typed("tasks", "show", task_id).out.splitlines()
    assert lines[0].split() == ["id", task_id]
    assert 'data        {"numbers": "none"}' in lines
    assert any(line.startswith("attempt 1  failed after ") for line in lines)
    assert any(line.strip().startswith("Traceback") for line in lines)


def test_ids_are_changed_one_by_one_and_each_says_what_became_of_it(typed: Type) -> None:
    waiting = typed("publish", "sum", "--queue", "slow").line
    done = typed("publish", "sum", "numbers=[]", "--wait", "9", "--json").document["id"]
    said = typed("tasks", "cancel", waiting, done, "nothing")
    assert said.code == 1
    assert said.out == f"{waiting}  cancelled\n"
    assert f"{done}: the task is completed; only " in said.err
    assert "nothing: " in said.err
    assert said.complaint == "2 tasks of 3 not cancelled"
    assert typed("tasks", "retry", waiting).line == f"{waiting}  queued"
    typed("tasks", "cancel", waiting)
    assert typed("tasks", "delete", waiting, done).out.count("deleted") == 2


def test_a_change_of_many_asks_once(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        typed("publish", "ask", "--queue", "slow")
    refused = typed("tasks", "cancel", "--action", "ask")
    assert refused.code == 2
    assert refused.complaint == "this would cancel 3 tasks: --yes does it without asking"

    def answered(answer: str) -> Said:
        stdin = io.StringIO(answer)
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stdin)
        return typed("tasks", "cancel", "--action", "ask")

    no = answered("\n")
    assert no.err.startswith("cancel 3 tasks? [y/N] ")
    assert (no.code, no.err.endswith("task-queue: nothing was changed\n")) == (1, True)
    assert answered("y\n").line == "3 tasks cancelled"


def test_queues_are_shown_paused_resumed_and_purged(typed: Type) -> None:
    head, *rows = typed("queues").out.splitlines()
    assert head.split()[:5] == ["queue", "state", "scheduled", "queued", "running"]
    assert [row.split()[:2] for row in rows] == [["slow", "paused"], ["tasks", "open"]] or [
        row.split()[:2] for row in rows
    ] == [["tasks", "open"], ["slow", "paused"]]
    assert len(typed("queues", "--json").document["queues"]) == 2
    typed("purge", "slow", "--yes")
    typed("publish", "sum", "--queue", "slow")
    assert typed("purge", "slow").complaint == (
        "this would cancel 1 task on the queue slow: --yes does it without asking"
    )
    assert typed("purge", "slow", "--yes").line == "1 task cancelled"
    assert typed("purge", "slow", "--yes", "--json").document == {"name": "slow", "count": 0}
    assert typed("pause", "tasks").line == "tasks is paused"
    assert typed("queues", "show", "tasks", "--json").document["paused"] is True
    assert typed("resume", "tasks", "--json").document == {"name": "tasks", "paused": False}
    names = [line.split()[0] for line in typed("queues", "show", "tasks").out.splitlines()]
    assert "concurrency" in names
    assert names.count("driver") == 1


def test_dead_letters_are_listed_and_put_back(typed: Type) -> None:
    typed("publish", "sum", "numbers=none", "--wait", "30")
    assert " dead " in typed("dead", "list", "--error", "list of numbers").out
    (group,) = typed("dead", "groups", "--action", "sum", "--json").document["groups"]
    assert typed("dead", "groups").out.splitlines()[1].split()[:3] == [
        *(str(group["count"]), "tasks", "sum")
    ]
    asked = typed("dead", "redrive", "--error-group", group["error_group"])
    assert asked.complaint.startswith(f"this would redrive {group['count']} dead task")
    redriven = typed("dead", "redrive", "--error-group", group["error_group"], "--yes")
    assert redriven.line.endswith(" put back")
    assert "no task matches" in typed("dead", "redrive", "--error", "no such text", "--yes").err


def test_a_redrive_that_is_spread_out_is_one_request(
    typed: Type, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second one would begin at the same moment, and both together be twice as fast.
    monkeypatch.setattr(dead, "MOST", 2)
    for _ in range(3):
        task_id = typed("publish", "sum", "numbers=x", "--max-attempts", "1").line
        server.wait_for_status(task_id, "dead")
    said = typed("dead", "redrive", "--action", "sum", "--per-second", "50", "--yes")
    assert said.line == "2 tasks put back"
    assert "there may be more" in said.err


def test_a_schedule_is_set_shown_and_deleted(typed: Type) -> None:
    made = typed("schedules", "set", "nightly", "sum", "numbers=[1]", "--cron", "0 3 * * *")
    assert made.line.startswith("nightly publishes sum 0 3 * * *, next in ")
    changed = typed(
        *("schedules", "set", "nightly", "sum", "--every", "90m", "--queue", "slow", "--json")
    ).document
    assert (changed["every"], changed["task"]["queue"]) == ("90m", "slow")
    assert typed("schedules", "list").out.splitlines()[1].startswith("nightly   every 90m  sum")
    assert typed("schedules", "show", "nightly").out.count("\nnext ") == 5
    published = typed("schedules", "run", "nightly").line
    assert typed("tasks", "show", published, "--json").document["schedule"] == "nightly"
    typed("tasks", "cancel", published)
    assert typed("schedules", "delete", "nightly", "--yes").line == "nightly deleted"
    assert typed("schedules", "list").err == "there is no schedule\n"


def test_a_key_comes_from_a_file_or_the_environment(
    typed: Type, server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text(make_key(server.directory, "reader", "--scope", "read") + "\n")
    assert typed("queues", "--key-file", str(file)).code == 0
    refused = typed("pause", "tasks", "--key-file", str(file))
    assert refused.code == 4
    assert "takes a key with the scope operate; the key reader has read" in refused.complaint
    monkeypatch.setenv("TASK_QUEUE_KEY", file.read_text().strip()[:-1])
    assert typed("queues").code == 4
    file.write_text("two words\n")
    assert "must hold one key" in typed("queues", "--key-file", str(file)).complaint


def test_without_a_server_one_line_says_where_and_what_to_do(typed: Type) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = typed("queues", "--url", url)
    assert said.code == 3
    assert said.complaint.startswith(f"no server can be reached at {url} (")
    assert "`task-queue serve`" in said.complaint


def test_doctor_says_what_to_do(
    typed: Type, server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(server.directory)
    healthy = typed("doctor", "--json").document["findings"]
    states = {each["what"]: each["state"] for each in healthy}
    assert {"settings", "permissions", "disk", "database", "server", "clock", "key"} <= set(states)
    assert "fail" not in states.values()
    assert all(each["text"] for each in healthy)
    monkeypatch.chdir(tmp_path)
    fresh = typed("doctor")
    assert "warn  database     there is no " in fresh.out
    small = typed("doctor", "--set", "database.min_free_bytes=1125899906842624")
    assert small.code == 1
    assert "fail  disk " in small.out
    broken = typed("doctor", "--set", "http.port=x", "--url", f"http://127.0.0.1:{free_port()}")
    assert broken.code == 1
    assert [line[:16].split() for line in broken.out.splitlines()] == [
        ["fail", "settings"],
        ["fail", "server"],
    ]
    locked = tmp_path / "keys"
    locked.write_text("")
    locked.chmod(0o644)
    assert f"chmod o-rw {locked}" in typed("doctor", "--set", f"auth.keys_file={locked}").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(typed: Type, shell: str) -> None:
    script = typed("completion", shell).out
    assert "task-queue" in script
    assert "_TASK_QUEUE_COMPLETE" in script


def test_a_defect_is_one_line_too(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_queue.api.commands.queues.row", lambda _queue: 1 // 0)
    said = typed("queues")
    assert said.code == 1
    assert said.complaint.startswith("a defect of this program: ZeroDivisionError: ")
    assert os.path.basename(__file__) in said.complaint  # noqa: PTH119 - where it was raised


def test_tail_follows_what_happens(
    typed: Type, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = typed("publish", "sum", "numbers=[1]", "--wait", "30", "--json").document["id"]
    published: list[str] = []

    def on_sleep(_seconds: float) -> None:
        match len(published):
            case 0:
                published.append(server.publish("sum", numbers=[5]))
                server.wait_for_status(published[0], "completed")
            case 1:
                published.append(server.publish("sum", numbers="none"))
                eventually(lambda: server.task(published[1])["status"] == "dead", "dead")
            case _:
                raise KeyboardInterrupt

    monkeypatch.setattr("task_queue.api.commands.tail.time.sleep", on_sleep)
    said = typed("tail")
    assert (said.code, said.err) == (0, "")
    assert before not in said.out
    assert [line.split()[1:3] for line in said.out.splitlines()] == [
        ["published", published[0]],
        ["completed", published[0]],
        ["published", published[1]],
        ["dead", published[1]],
    ]
    assert '{"output": 5}' in said.out
