"""SIGHUP: other actions and queues while the service runs, and nothing is lost or stopped."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.stored import Stored, most_at_once
from tests.harness import DEADLINE_SECONDS, ROOT, Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
WAIT = 'wait = "tests.actions:wait_for_fifo"'

FORGOTTEN = "no actions of your own, and this database has had some: unknown ones are refused"


class Configured:
    """A server with a file of settings that can be written anew."""

    def __init__(self, serve: Serve, directory: Path, text: str, *overrides: str) -> None:
        self.path = directory / "live.toml"
        self.path.write_text(text)
        self.server = serve(*overrides)
        self.server.environ["TASK_QUEUE_CONFIG"] = str(self.path)
        self.server.start()

    def reload(self, text: str, event: str = "settings reloaded") -> dict[str, Any]:
        """Write the file anew, have it read, and wait for the line that says what came of it."""
        self.path.write_text(text)
        self.server.signal(signal.SIGHUP)
        return self.server.wait_for_log(event)

    def refused(self, text: str) -> str:
        """Why the file is refused."""
        line = self.reload(text, "settings refused, the former ones stay")
        assert line["level"] == "error"
        return str(line["error"])

    def queue(self, name: str = "tasks") -> dict[str, Any]:
        document: dict[str, Any] = self.server.client.get(f"/queues/{name}").json()
        return document

    def started(self) -> list[str]:
        """The tasks that a consumer has begun so far."""
        return [line["id"] for line in self.server.log if line["event"] == "processing task"]

    def post(self, action: str, **members: object) -> httpx.Response:
        return self.server.client.post("/tasks", json={"action": action, **members})


def test_actions_come_and_go_while_what_runs_and_what_waits_goes_on(
    serve: Serve, tmp_path: Path
) -> None:
    builtin = "[builtin]\nfallback = false\n"
    live = Configured(serve, tmp_path, f"{builtin}[actions]\n{WAIT}\n")
    gate = Gate(tmp_path)
    running = live.server.publish("wait", fifo=str(gate.path))
    live.server.wait_for_log("processing task", id=running)
    assert live.post("record").status_code == 400
    line = live.reload(f'{builtin}[actions]\nrecord = "tests.actions:record"\n')
    assert line["actions"] == ["record", "sum", "uppercase"]
    assert live.post("wait").status_code == 400
    file = tmp_path / "lines"
    recorded = live.server.publish("record", file=str(file), line="new")
    live.server.wait_for_status(recorded, "completed")
    gate.open("old")
    done = live.server.wait_for_status(running, "completed")
    assert (done["result"], done["attempt"]) == ({"output": "old"}, 1)
    names = [each["name"] for each in live.server.client.get("/actions").json()["actions"]]
    assert names == ["record", "sum", "uppercase"]


def test_the_first_own_action_ends_the_fallback_and_what_nothing_runs_is_told_so(
    serve: Serve, tmp_path: Path
) -> None:
    live = Configured(serve, tmp_path, "")
    client = live.server.client
    task_id = live.post("anything", delay_seconds=1_000).json()["id"]
    client.put(
        "/schedules/s", json={"cron": "0 0 1 1 *", "task": {"action": "anything"}}
    ).raise_for_status()
    live.reload('[actions]\nrecord = "tests.actions:record"\n')
    for action in ("recrod", "anything"):
        detail = live.post(action).json()["detail"]
        assert detail.startswith(f"action '{action}' is not known;")
    assert "did you mean 'record'?" in live.post("recrod").json()["detail"]
    client.post(f"/tasks/{task_id}/cancel").raise_for_status()
    answer = client.post(f"/tasks/{task_id}/retry")
    assert (answer.status_code, answer.json()["error"]) == (
        409,
        "the action anything is no longer in the settings; nothing would run the task",
    )
    assert client.get("/tasks?action=anything").json()["count"] == 1
    assert client.get("/tasks?action=nothing").json()["error"] == "unknown action"
    answer = client.post("/dead-letters/redrive", json={"action": "anything"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unknown action")
    assert client.get("/schedules/s").json()["task"]["action"] == "anything"
    live.reload("")
    assert live.post("anything").status_code == 400, "there was an action of its own"
    live.reload("[builtin]\nfallback = true\n")
    assert client.post(f"/tasks/{task_id}/retry").status_code == 202
    assert live.server.wait_for_status(task_id, "completed")["result"] == {"output": "processed"}


def test_a_start_without_the_settings_does_not_take_the_work_of_own_actions_for_done(
    serve: Serve,
) -> None:
    own = serve("actions.record=tests.actions:record", "actions.sum=tests.actions:record").start()
    own.client.post("/queues/tasks/pause")
    task_id = own.publish("record")
    assert own.terminate() == 0
    bare = serve().start()
    line = bare.wait_for_log(FORGOTTEN)
    assert (line["level"], line["had"]) == ("warning", ["record", "sum"])
    codes = [bare.post(action).status_code for action in ("record", "sum", "uppercase")]
    assert codes == [400, 400, 202], "nor does the built-in sum stand in for the own one"
    bare.client.post("/queues/tasks/resume")
    assert "not known" in bare.wait_for_status(task_id, "dead")["error"]
    for selector in ({"queue": "tasks"}, {"ids": [task_id]}):
        answer = bare.client.post("/dead-letters/redrive", json=selector).json()
        assert (answer["count"], answer["unknown"]) == (0, 1)
        assert answer["detail"].startswith("nothing runs these: their action is not known")
    assert bare.terminate() == 0
    tutorial = serve("builtin.fallback=true").start()
    assert tutorial.client.post(f"/tasks/{task_id}/retry").status_code == 202
    assert tutorial.wait_for_status(task_id, "completed")["result"] == {"output": "processed"}


def test_a_node_without_own_actions_hears_of_those_of_another(
    serve: Serve, postgres_url: str
) -> None:
    url = f"database.url={postgres_url}"
    bare, own = serve(url).start(), serve(url, "actions.record=tests.actions:record")
    task_id = bare.publish("anything")
    assert bare.wait_for_status(task_id, "completed")["result"] == {"output": "processed"}
    own.start()
    assert bare.wait_for_log(FORGOTTEN)["had"] == ["record"]
    assert bare.client.post("/tasks", json={"action": "record"}).status_code == 400


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[actions\n", "is not valid TOML"),
        ("[actions]\nx = 5\n", "actions.x = 5"),
        (
            '[actions]\nx = "no_such_module:f"\n',
            "actions.x = 'no_such_module:f' cannot be imported",
        ),
        ('[actions]\nx = "leaves:f"\n', "'leaves:f' cannot be imported: SystemExit: 3 (/"),
        (
            '[actions.x]\ncommand = ["no-such-program"]\n',
            "the program 'no-such-program' is not there",
        ),
        ("[queues.tasks]\nconcurrency = 0\n", "queues.tasks.concurrency = 0"),
        ('[queues.tasks]\ndriver = "memory"\n', "queues.tasks.driver cannot be changed"),
        (f"[actions]\n{WAIT}\n", "queues.quick keeps its tasks in memory"),
    ],
)
def test_settings_that_are_no_good_are_refused_whole_and_the_former_ones_stay(
    serve: Serve, tmp_path: Path, text: str, why: str
) -> None:
    quick = '[queues.quick]\ndriver = "memory"\n'
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    live = Configured(serve, tmp_path, f"[actions]\n{WAIT}\n{quick}")
    before = live.queue()["settings"]
    assert why in live.refused(text if "queues.quick" in why else f"{text}{quick}")
    assert live.queue()["settings"] == before
    gate = Gate(tmp_path)
    task = live.server.publish("wait", fifo=str(gate.path))
    gate.open()
    live.server.wait_for_status(task, "completed")
    assert live.server.client.get("/readyz").json()["status"] == "ready"


def test_more_consumers_run_more_at_once_and_fewer_fewer_without_stopping_any(
    serve: Serve, tmp_path: Path, database_url: str
) -> None:
    text = f"[actions]\n{WAIT}\n[queues.tasks]\nconcurrency = "
    live = Configured(serve, tmp_path, f"{text}1\n", f"database.url={database_url}")
    gates = [Gate(tmp_path) for _ in range(6)]
    tasks = [live.server.publish("wait", fifo=str(gate.path)) for gate in gates]
    live.server.wait_for_log("processing task", id=tasks[0])
    assert live.reload(f"{text}3\nprefetch = 1\n")["changed"] == ["tasks"]
    eventually(lambda: len(live.started()) == 3, "three run")
    assert live.queue()["settings"]["concurrency"] == 3
    live.reload(f"{text}1\nprefetch = 1\n")
    for gate in gates:
        gate.open()
    done = [live.server.wait_for_status(task, "completed") for task in tasks]
    assert {each["attempt"] for each in done} == {1}
    runs = Stored(database_url).runs()
    assert most_at_once([run for task in tasks[:3] for run in runs[task]]) == 3
    assert most_at_once([run for task in tasks[3:] for run in runs[task]]) == 1
    assert live.server.client.get("/readyz").json()["status"] == "ready"
    assert live.server.terminate() == 0


def test_queues_come_and_go_and_one_that_goes_lets_what_runs_finish_and_keeps_what_waits(
    serve: Serve, tmp_path: Path
) -> None:
    text = f"[actions]\n{WAIT}\n"
    mail = "[queues.mail]\nconcurrency = 1\n"
    live = Configured(serve, tmp_path, text)
    assert live.post("wait", queue="mail").status_code == 400
    assert live.reload(f"{text}{mail}")["added"] == ["mail"]
    gates = [Gate(tmp_path) for _ in range(2)]
    ids = [
        live.post("wait", queue="mail", data={"fifo": str(gate.path)}).json()["id"]
        for gate in gates
    ]
    live.server.wait_for_log("processing task", id=ids[0])
    assert live.reload(text)["removed"] == ["mail"]
    assert live.post("wait", queue="mail").json()["error"] == "unknown queue"
    assert live.server.client.get("/queues/mail").status_code == 404
    assert "try again later" in live.refused(f"{text}{mail}")
    gates[0].open()
    assert live.server.wait_for_status(ids[0], "completed")["attempt"] == 1
    waits = live.server.task(ids[1])
    assert (waits["status"], waits["attempt"]) == ("queued", 0)

    def is_back() -> bool:
        live.server.signal(signal.SIGHUP)
        return live.server.client.get("/queues/mail").status_code == 200

    live.path.write_text(f"{text}{mail}")
    eventually(is_back, "the queue is back")
    gates[1].open()
    live.server.wait_for_status(ids[1], "completed")


def test_a_queue_that_lets_its_last_task_finish_is_drained_with_the_others(
    serve: Serve, tmp_path: Path
) -> None:
    text = f"[actions]\n{WAIT}\n[shutdown]\ndrain_seconds = 0.5\n"
    live = Configured(serve, tmp_path, f"{text}[queues.mail]\n")
    gate = Gate(tmp_path)
    task = live.post("wait", queue="mail", data={"fifo": str(gate.path)}).json()["id"]
    live.server.wait_for_log("processing task", id=task)
    live.reload(text)
    assert live.server.terminate() == 0
    (line,) = [each for each in live.server.log if each["event"].startswith("tasks cut short")]
    assert line["ids"] == [task]


def test_what_cannot_be_changed_without_a_restart_is_named(serve: Serve, tmp_path: Path) -> None:
    live = Configured(serve, tmp_path, "[log]\nlevel = 'INFO'\n")
    live.reload("[log]\nlevel = 'ERROR'\n[retention]\ncompleted_seconds = 5\n")
    line = live.server.wait_for_log("settings that need a restart have changed")
    assert sorted(line["sections"]) == ["log", "retention"]


def test_many_hangups_under_load_lose_nothing(serve: Serve, tmp_path: Path) -> None:
    text = "[queues.tasks]\nconcurrency = "
    live = Configured(serve, tmp_path, f"{text}1\n")
    ids = []
    for number in range(20):
        ids += [live.server.publish("sum", numbers=[number, each]) for each in range(5)]
        live.reload(f"{text}{number % 4 + 1}\n")
    for task in ids:
        assert live.server.wait_for_status(task, "completed")["attempt"] == 1
    assert live.server.terminate() == 0
    assert not [line for line in live.server.log if "crashed" in line["event"]]


def test_hangups_during_the_start_and_a_reload_are_heard_and_one_reload_does_for_all(
    serve: Serve, tmp_path: Path
) -> None:
    gates = {name: Gate(tmp_path) for name in ("first", "second")}
    for name, gate in gates.items():
        text = f"open({str(gate.path)!r}).read()\nact = dict.keys\n"
        (tmp_path / f"{name}.py").write_text(text)
    file = tmp_path / "live.toml"
    actions = '[actions]\nfirst = "first:act"\n'
    file.write_text(actions)
    server = serve()
    server.environ["TASK_QUEUE_CONFIG"] = str(file)
    server.spawn()
    eventually(lambda: hears_hangups(server.pid), "a hangup does not end it any more")
    server.signal(signal.SIGHUP)
    with gates["first"].held():
        actions += 'second = "second:act"\n'
        file.write_text(actions)
        server.signal(signal.SIGHUP)
    with gates["second"].held():  # while it is reloaded, as soon as it listens
        for number in range(20):
            file.write_text(f"{actions}[queues.q{number}]\n")
            server.signal(signal.SIGHUP)
        # Or the last ones could be heard when the second reload has begun, and cause a third.
        eventually(lambda: sleeps(server.pid), "it has heard them all")
    server.wait_until_listening()
    reloaded = server.wait_for_log("settings reloaded")
    assert reloaded["actions"] == ["first", "second", "sum", "uppercase"]
    assert server.wait_for_log("settings reloaded")["added"] == ["q19"]
    assert server.terminate() == 0
    assert [line["event"] for line in server.log].count("settings reloaded") == 2


def hears_hangups(process: int) -> bool:
    """Whether SIGHUP, the first of the signals, is blocked or handled."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk", "SigCgt"))]
    return any(mask & 1 for mask in masks)


def sleeps(process: int) -> bool:
    """Whether no signal is on its way to it, and none of its threads has anything to do."""
    threads = sorted(Path(f"/proc/{process}/task").iterdir(), key=lambda path: int(path.name))
    try:  # the main thread comes first: it hands on what it hears
        texts = [each.joinpath("status").read_text() for each in threads]
    except OSError:  # a thread has just ended
        return False
    lines = [line.split() for text in texts for line in text.splitlines()]
    pending = [int(words[1], 16) for words in lines if words[0] in {"SigPnd:", "ShdPnd:"}]
    return not any(pending) and {words[1] for words in lines if words[0] == "State:"} == {"S"}


def test_a_terminal_that_is_closed_ends_the_server_as_ever(tmp_path: Path) -> None:
    """There a hangup says that nobody is there any more, not that the settings have changed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *("setsid", "--ctty", "--wait"),
            *(sys.executable, "-m", "task_queue", "serve", "--set", "http.port=0"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    try:
        assert process.stdout is not None
        assert " listens on " in process.stdout.readline()
        os.close(ours)
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
