"""A queue for tests: what is published is run at once, and what goes wrong is raised."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any
from uuid import UUID

import falcon.testing
import httpx
import pytest

from task_queue.actors.actions.context import Context
from task_queue.actors.errors import ActionLoadError, InvalidDataError, Reject, RetryLater, TimedOut
from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.testing.inline import MEMBERS, InlineQueue, run_inline
from task_queue.actors.testing.published import RefusedError
from task_queue.api.app import create_app
from task_queue.api.edge import Edge
from task_queue.api.requests.bodies import PublishBody
from task_queue.config.layers import load
from task_queue.config.settings import SettingsError

Data = dict[str, Any]


@dataclass
class Size:
    width: int


def resize(data: Size) -> dict[str, int]:
    return {"area": data.width**2}


def echo(data: Data) -> Data:
    return data


def own_process(_data: Data) -> int:
    return os.getpid()


def fail_with(data: Data) -> None:
    raise ValueError(data["message"])


def reject_or_postpone(data: Data) -> None:
    if "seconds" in data:
        raise RetryLater(data["seconds"], "too early")
    raise Reject("no such thing")


def raises(error: BaseException) -> Callable[[Data], None]:
    """An action that does nothing else."""

    def action(_data: Data) -> None:
        raise error

    return action


async def twice(data: Data) -> int:
    await asyncio.sleep(0)
    return int(data["number"]) * 2


async def never(_data: Data) -> None:
    await asyncio.Event().wait()


def http(queue: InlineQueue) -> httpx.Client:
    return httpx.Client(transport=queue.transport, base_url="http://queue")


# --- what is published is run ---------------------------------------------------------------


def test_a_task_is_done_when_its_publish_returns() -> None:
    with run_inline(resize=resize) as queue:
        task = queue.publish("resize", {"width": 3})
    assert (task.action, task.data, task.result) == ("resize", {"width": 3}, {"area": 9})
    assert (task.error, task.progress, task.stderr, task.members) == (None, [], None, {})
    assert UUID(task.id).version == 7


def test_an_action_runs_in_the_thread_of_the_test() -> None:
    with run_inline(mine=lambda _data: get_ident()) as queue:
        assert queue.publish("mine").result == get_ident()


def test_the_built_in_actions_are_there() -> None:
    with run_inline() as queue:
        assert queue.publish("uppercase", {"text": "a"}).result == {"output": "A"}
        assert queue.publish("sum").result == {"output": 0}


def test_data_and_result_are_what_json_makes_of_them() -> None:
    sent = {"pair": ("data", 1)}
    with run_inline(mine=lambda data: (repr(data), UUID(int=0))) as queue:
        task = queue.publish("mine", sent)
    sent["pair"] = ("changed", 2)
    assert task.data == {"pair": ["data", 1]}
    assert task.result == ["{'pair': ['data', 1]}", "00000000-0000-0000-0000-000000000000"]


def test_all_that_is_reported_is_there_in_order() -> None:
    def report(_data: Data, context: Context) -> None:
        for fraction, message in ((0, None), (0.5, "half"), (0.5, "half"), (1, "all")):
            context.progress(fraction, message)

    with run_inline(report=report) as queue:
        task = queue.publish("report")
    assert task.progress == [(0.0, None), (0.5, "half"), (0.5, "half"), (1.0, "all")]


def test_an_action_sees_what_was_asked_for_and_no_delay_is_waited_for() -> None:
    def see(_data: Data, context: Context) -> list[Any]:
        return [context.id, context.queue, context.action, context.attempt, context.max_attempts]

    with run_inline(see=see) as queue:
        plain = queue.publish("see")
        other = queue.publish("see", queue="mail", max_attempts=1, delay_seconds=3600)
    assert plain.result == [plain.id, "tasks", "see", 1, 5]
    assert other.result == [other.id, "mail", "see", 1, 1]
    assert other.members == {"queue": "mail", "max_attempts": 1, "delay_seconds": 3600}


def test_the_members_are_those_of_the_service() -> None:
    assert ("action", "data", *MEMBERS) == tuple(PublishBody.model_fields)


# --- what goes wrong is raised --------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("no"), Reject("never"), RetryLater(60, "busy"), KeyboardInterrupt()]
)
def test_what_an_action_raises_reaches_the_test_as_it_is(error: BaseException) -> None:
    with run_inline(mine=raises(error)) as queue:
        with pytest.raises(type(error)) as raised:
            queue.publish("mine")
        assert raised.value is error


def test_tasks_that_failed_are_listed_too_in_the_order_in_which_they_were_published() -> None:
    def report_and_fail(_data: Data, context: Context) -> None:
        context.progress(0.5)
        raise ValueError("no")

    with run_inline(fail=report_and_fail) as queue:
        first = queue.publish("sum")
        with pytest.raises(ValueError, match="no"):
            queue.publish("fail")
        last = queue.publish("sum")
        failed = queue.published[1]
        assert queue.published == [first, failed, last]
    assert (failed.action, failed.result, failed.error) == ("fail", None, "ValueError: no")
    assert failed.progress == [(0.5, None)]


def test_a_task_that_an_action_publishes_comes_after_its_own() -> None:
    with run_inline(outer=lambda data: queue.publish("sum", data).result["output"] + 1) as queue:
        assert queue.publish("outer", {"numbers": [1, 2]}).result == 4
        assert [task.action for task in queue.published] == ["outer", "sum"]


def test_a_result_that_is_no_json_is_refused_as_in_the_service() -> None:
    with run_inline(mine=lambda _data: b"x") as queue, pytest.raises(Reject, match="no JSON form"):
        queue.publish("mine")


def test_a_name_that_is_no_action_is_refused_whatever_the_fallback(tmp_path: Path) -> None:
    (path := tmp_path / "shop.toml").write_text("[builtin]\nfallback = true\n")
    with run_inline(path, resize=resize) as queue:
        with pytest.raises(RefusedError, match=r"^action 'size' is not known; did you mean"):
            queue.publish("size")
        assert queue.published == []


def test_a_queue_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "shop.toml").write_text("[queues.mail]\n")
    with run_inline(path) as queue:
        assert queue.publish("sum", queue="mail").result == {"output": 0}
        with pytest.raises(RefusedError, match=r"^queue 'mial' is not known; did you mean 'mail'"):
            queue.publish("sum", queue="mial")
    with run_inline() as queue:
        assert queue.publish("sum", queue="any").result == {"output": 0}


def test_data_that_its_action_does_not_take_is_refused_and_nothing_is_run() -> None:
    with run_inline(resize=resize) as queue:
        with pytest.raises(InvalidDataError, match=r"^data\.width: .*, not \"x\"$"):
            queue.publish("resize", {"width": "x"})
        with pytest.raises(TypeError, match="not JSON serializable"):
            queue.publish("resize", {"width": {1}})
        assert queue.published == []


def test_a_member_that_the_service_does_not_know_is_refused() -> None:
    with run_inline() as queue:
        with pytest.raises(RefusedError, match=r"^delay is not known; known: action, data, queue,"):
            queue.publish("sum", delay=60)
        assert queue.published == []


@pytest.mark.parametrize(
    ("function", "problem"),
    [("shop.toml", "is not a function"), (lambda: 0, r"must take \(data\) or \(data, task\)")],
)
def test_what_cannot_be_an_action_is_named(function: Any, problem: str) -> None:  # noqa: ANN401
    with pytest.raises(ActionLoadError, match=f"^mine = .*{problem}"), run_inline(mine=function):
        pass


# --- actions of settings --------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with an action of every kind that needs nothing else."""
    path = tmp_path / "shop.toml"
    path.write_text(
        f"""
        [builtin]
        simulated_work_seconds = 60
        [queues.mail]
        max_attempts = 3
        [actions]
        echo = "{__name__}:echo"
        process = {{ python = "{__name__}:own_process", execution = "process" }}
        process_fails = {{ python = "{__name__}:fail_with", execution = "process" }}
        process_refuses = {{ python = "{__name__}:reject_or_postpone", execution = "process" }}
        program = {{ command = ["sh", "-c", "cat; echo careful >&2"] }}
        program_fails = {{ command = ["sh", "-c", "echo careful >&2; exit 3"] }}
        program_hangs = {{ command = ["sleep", "60"], timeout_seconds = 0.1 }}
        """
    )
    return path


def test_the_actions_of_a_file_of_settings_are_there_and_those_given_come_first(
    config: Path,
) -> None:
    with run_inline(config) as queue:
        assert queue.publish("echo", {"n": 1}).result == {"n": 1}
    with run_inline(str(config), echo=lambda _data: "mine") as queue:
        assert queue.publish("echo").result == "mine"


@pytest.mark.timeout(30)  # half of what it would pretend
def test_built_in_actions_do_not_pretend_to_work(config: Path) -> None:
    with run_inline(config=config) as queue:
        assert queue.publish("sum").result == {"output": 0}


def test_a_task_has_the_attempts_of_its_queue(config: Path) -> None:
    def attempts(_data: Data, context: Context) -> int:
        return context.max_attempts

    with run_inline(config, attempts=attempts) as queue:
        assert queue.publish("attempts", queue="mail").result == 3


def test_an_action_in_a_process_runs_in_one_which_is_gone_at_the_end(config: Path) -> None:
    with run_inline(config) as queue:
        process = queue.publish("process").result
        os.kill(process, 0)
        with pytest.raises(Ended, match=r"^ValueError: on purpose$"):
            queue.publish("process_fails", {"message": "on purpose"})
    assert process != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_a_process_raises_for_the_queue_is_raised_as_what_it_was(config: Path) -> None:
    with run_inline(config) as queue:
        with pytest.raises(Reject, match=r"^no such thing$"):
            queue.publish("process_refuses")
        with pytest.raises(RetryLater, match=r"^too early$") as raised:
            queue.publish("process_refuses", {"seconds": 5})
    assert raised.value.seconds == 5


def test_modules_of_the_current_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def act(data):\n    return 5\n")
    (tmp_path / "shop.toml").write_text('[actions]\nact = "only_here:act"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with run_inline("shop.toml") as queue:
        assert queue.publish("act").result == 5


def test_a_program_is_run_and_what_it_complains_of_is_kept(config: Path) -> None:
    with run_inline(config) as queue:
        task = queue.publish("program", {"n": 1})
        assert (task.result, task.stderr) == ({"n": 1}, "careful\n")
        with pytest.raises(Ended, match=r"^exit code 3: careful$"):
            queue.publish("program_fails")
        assert queue.published[-1].stderr == "careful\n"


def test_what_can_be_ended_has_its_timeout(config: Path) -> None:
    with run_inline(config, never=never) as queue:
        with pytest.raises(TimedOut, match=r"after 0\.1 s"):
            queue.publish("never", timeout_seconds=0.1)
        with pytest.raises(Ended, match=r"after 0\.1 s"):
            queue.publish("program_hangs")


def test_wrong_settings_are_named_and_those_of_the_environment_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASK_QUEUE_HTTP__PROT", "1")
    monkeypatch.setenv("TASK_QUEUE_CONFIG", "none.toml")
    with run_inline() as queue:
        queue.publish("sum")
    (path := tmp_path / "shop.toml").write_text("[http]\nprot = 1\n")
    with pytest.raises(SettingsError, match=r"^http\.prot "), run_inline(path):
        pass


# --- over HTTP ------------------------------------------------------------------------------


def test_a_publish_over_http_is_answered_as_by_the_service_once_it_is_run() -> None:
    def report(data: Data, context: Context) -> Any:  # noqa: ANN401 - whatever it is
        context.progress(0.5, "half")
        return data["width"]

    with run_inline(report=report) as queue, http(queue) as client:
        body = {"action": "report", "data": {"width": 3}, "queue": "mail", "delay_seconds": 60}
        answer = client.post("/tasks", json=body)
        (task,) = queue.published
        assert answer.status_code == 202
        assert answer.json() == {"id": task.id, "status": "queued"}
        assert answer.headers["Location"] == f"/tasks/{task.id}"
        assert task.members == {"queue": "mail", "delay_seconds": 60}
        answer = client.get(answer.headers["Location"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {
        "id": task.id,
        "payload": {"id": task.id, "action": "report", "data": {"width": 3}},
        "status": "completed",
        "result": 3,
        "queue": "mail",
        "error": None,
        "progress": {"fraction": 0.5, "message": "half"},
    }


def test_several_tasks_are_run_once_all_of_them_are_accepted() -> None:
    tasks = [{"action": "double", "data": {"number": number}} for number in (1, 2)]
    with run_inline(double=lambda data: data["number"] * 2) as queue, http(queue) as client:
        refused = client.post("/tasks/batch", json={"tasks": [*tasks, {"action": "duoble"}]})
        assert (refused.status_code, queue.published) == (400, [])
        assert client.post("/tasks/batch", json={"tasks": []}).status_code == 400
        answer = client.post("/tasks/batch", json={"tasks": tasks})
        assert answer.json() == {"ids": [task.id for task in queue.published], "count": 2}
        assert [task.result for task in queue.published] == [2, 4]


def test_what_was_published_is_listed_by_status_queue_and_action() -> None:
    with run_inline(mine=lambda _: 1) as queue, http(queue) as client:
        for action, queue_name in (("mine", "tasks"), ("sum", "mail"), ("mine", "mail")):
            queue.publish(action, {"numbers": []}, queue=queue_name)
        first, second, third = (task.id for task in queue.published)

        def listed(**query: str) -> list[str]:
            page = client.get("/tasks", params=query).json()
            return [task["id"] for task in page["tasks"]]

        assert listed() == [third, second, first]
        assert listed(order="oldest", queue="mail") == [second, third]
        assert listed(action="mine", status="completed,dead") == [third, first]
        assert listed(status="dead") == []


@pytest.mark.parametrize("action", ["fast", "slow"])
def test_a_client_in_an_event_loop_is_answered_too(action: str) -> None:
    async def publish(queue: InlineQueue) -> Any:  # noqa: ANN401 - the result
        async with httpx.AsyncClient(transport=queue.transport, base_url="http://queue") as client:
            answer = await client.post("/tasks", json={"action": action, "data": {"number": 4}})
            answer = await client.get(answer.headers["Location"])
            return answer.json()["result"]

    with run_inline(fast=lambda data: data["number"] * 2, slow=twice) as queue:
        assert asyncio.run(publish(queue)) == 8


@pytest.mark.parametrize("error", [Reject("never"), InvalidDataError("data.url", "is gone")])
def test_what_an_action_raises_comes_out_of_the_client(error: Exception) -> None:
    with run_inline(mine=raises(error)) as queue, http(queue) as client:
        with pytest.raises(type(error)) as raised:
            client.post("/tasks", json={"action": "mine"})
        assert raised.value is error
        (task,) = queue.published
        document = client.get(f"/tasks/{task.id}").json()
    assert (document["status"], document["error"]) == ("dead", task.error)
    assert str(error) in document["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"{}",
        b'{"action":""}',
        b'{"action":3}',
        b'{"action":"size"}',
        b'{"action":"resize","data":[1]}',
        b'{"action":"resize","data":[%s]}' % (b"1," * 100 + b"1"),
        b'{"action":"resize","data":{"width":"x"}}',
        b'{"action":"resize"}',
        b'{"action":"resize","fax":1}',
    ],
)
def test_a_publish_that_the_service_refuses_is_refused_in_its_words(body: bytes) -> None:
    overrides = [
        "http.allowed_hosts=falconframework.org",
        "builtin.fallback=false",
        f"actions.resize={__name__}:resize",
    ]
    settings = load(overrides=overrides, environ={}).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)
    service = falcon.testing.TestClient(create_app(Edge(system, 1.0), settings.http))
    expected = service.simulate_post("/tasks", body=body)
    with run_inline(resize=resize) as queue, http(queue) as client:
        answer = client.post("/tasks", content=body)
        assert queue.published == []
    assert answer.status_code == expected.status_code == 400
    assert answer.headers["Content-Type"] == expected.headers["Content-Type"]
    assert answer.json()["error"] == expected.json["error"]
    assert answer.json()["type"] == expected.json["type"]
    assert list(answer.json()) == list(expected.json)


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/tasks/01a20149-5375-74f0-9794-6ec863164a48", "task not found"),
        ("GET", "/queues/tasks", "not found"),
        ("POST", "/queues/tasks/pause", "not found"),
        ("DELETE", "/tasks/x", "not found"),
        ("GET", "/", "not found"),
    ],
)
def test_what_is_not_there_over_http_is_not_found(method: str, path: str, error: str) -> None:
    with run_inline() as queue, http(queue) as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (404, error)


def test_a_test_without_http_does_not_wait_for_its_library() -> None:
    code = "import sys, task_queue.testing; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
