"""Functions that are published with their own parameters."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from task_queue import Context
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.errors import ActionLoadError, InvalidDataError
from task_queue.client import AsyncClient, Client, NewTask, RefusedError, task
from task_queue.testing import run_inline
from tests.api.client import shop
from tests.harness import ROOT, ServerProcess

SETTINGS = (
    "actions.crop={python='tests.api.client.shop:crop',execution='process'}",
    "actions.greet=tests.api.client.shop:greet",
    "actions.whole=tests.api.client.shop:whole",
)
CAT = shop.Picture("cat.png", ("cat",))


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    return serve_all(*SETTINGS).start()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(str(server.client.base_url)) as client:
        yield client


@pytest.mark.system
def test_a_task_calls_the_function_with_what_was_published(client: Client) -> None:
    handle = shop.crop.on(client).publish(CAT, {"width": 3, "height": 4}, zoom=2)
    assert handle.result(30) == {"path": "cat.png", "width": 6}
    assert handle.refresh().priority == 5
    assert handle.refresh().data == {
        "picture": {"path": "cat.png", "labels": ["cat"]},
        "size": {"width": 3, "height": 4},
        "zoom": 2,
    }
    default = shop.crop.on(client).publish(CAT, {"width": 3, "height": 4})
    assert default.result(30) == {"path": "cat.png", "width": 3.0}


@pytest.mark.system
def test_a_function_gets_the_context_first_and_may_be_async(client: Client) -> None:
    handle = shop.greet.on(client).options(priority=7).publish(name="Ada")
    assert handle.result(30) == "hello Ada, attempt 1"
    task = handle.refresh()
    assert task.progress is not None
    assert (task.progress.message, task.priority) == ("Ada", 7)


@pytest.mark.system
def test_a_single_parameter_called_data_gets_all_of_it(client: Client) -> None:
    assert shop.whole.on(client).publish(CAT).result(30) == "cat.png cat"


@pytest.mark.system
def test_the_service_describes_and_checks_the_parameters(client: Client) -> None:
    action = client.action("crop")
    assert action.description == "Cut a picture."
    assert action.schema is not None
    assert set(action.schema["properties"]) == {"picture", "size", "zoom"}
    assert action.schema["required"] == ["picture", "size"]
    for data, error in (
        ({"picture": {"path": "a"}}, "data.size: is missing"),
        ({"picture": {"path": "a"}, "size": {"width": 1, "height": 1}, "zom": 1}, "data.zom"),
        ({"picture": {"path": 3}, "size": {"width": 1, "height": 1}}, "data.picture.path"),
    ):
        with pytest.raises(RefusedError, match=error) as caught:
            client.publish("crop", data)
        assert caught.value.problem == "invalid-data"


@pytest.mark.system
def test_a_batch_and_a_schedule_take_it(client: Client) -> None:
    new = shop.greet.options(priority=1).new("Ada")
    assert new == NewTask("greet", {"name": "Ada"}, {"priority": 1})
    (only,) = client.publish_batch([new]).ids
    assert client.result(only, 30) == "hello Ada, attempt 1"
    schedule = client.put_schedule("greetings", new, every="1h")
    assert schedule.task["data"] == {"name": "Ada"}
    client.delete_schedule("greetings")


@pytest.mark.system
def test_an_async_client_publishes_it_too(server: ServerProcess) -> None:
    async def published() -> object:
        async with AsyncClient(str(server.client.base_url)) as client:
            handle = await shop.greet.on(client).publish("Ada")
            return await handle.result(30)

    assert asyncio.run(published()) == "hello Ada, attempt 1"


def test_the_function_can_be_called_as_it_is() -> None:
    assert shop.crop(CAT, {"width": 2, "height": 1}, zoom=3) == {"path": "cat.png", "width": 6}
    assert (shop.crop.action, vars(shop.crop)["__name__"]) == ("crop", "crop")
    assert shop.crop.__doc__ is not None
    assert repr(shop.greet) == "<task greet(name: 'str') -> 'str'>"


def test_options_leave_the_function_as_it_is() -> None:
    shop.greet.options(priority=9)
    assert shop.greet.new("Ada").members == {}


@pytest.mark.parametrize(
    ("arguments", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"widht": 2}), ((1,), {"width": 2})]
)
def test_arguments_that_it_does_not_take_are_refused_at_once(
    arguments: tuple[int, ...], named: dict[str, int]
) -> None:
    @task
    def resize(width: int, height: int = 1) -> int:
        return width * height

    with pytest.raises(TypeError):
        resize.new(*arguments, **named)


def _takes(*things: int) -> None: ...
def _names(**things: int) -> None: ...
def _by_place(thing: int, /) -> None: ...
def _yields(thing: int) -> Iterator[int]:
    yield thing


def _is_told(thing: int, context: Context) -> None: ...
def _is_told_in_words(thing: int, context: "Context") -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_takes, r"_takes takes \*things: int, which has no name in the data"),
        (_names, r"_names takes \*\*things: int"),
        (_by_place, "_by_place takes thing: int"),
        (_yields, "_yields is a generator"),
        (_is_told, "make it the first parameter, and say context=True"),
        (_is_told_in_words, "make it the first parameter, and say context=True"),
    ],
)
def test_what_cannot_be_published_is_refused_where_it_is_written(
    function: Callable[..., Any], why: str
) -> None:
    with pytest.raises(TypeError, match=why):
        task(function)


def test_a_function_without_parameters_has_no_context() -> None:
    with pytest.raises(TypeError, match="no parameter for the context"):
        task(context=True)(lambda: None)  # type: ignore[arg-type,misc]


def test_a_function_without_parameters_takes_no_data() -> None:
    @task
    def tidy() -> int:
        return 1

    assert tidy.new() == NewTask("tidy", {})
    with run_inline(tidy=tidy) as queue:
        assert tidy.publish().result(1) == 1
        with pytest.raises(InvalidDataError):
            queue.publish("tidy", {"all": True})


def test_a_type_that_is_not_there_is_said_when_the_action_is_loaded() -> None:
    with pytest.raises(ActionLoadError, match="the type of its data is not known: name 'Path'"):
        PythonFunction(shop.of_unknown)


def test_an_object_that_has_any_attribute_is_no_task() -> None:
    with run_inline(crop=shop.crop) as queue:
        assert queue.publish(
            "crop", {"picture": {"path": "a"}, "size": {"width": 1, "height": 1}}
        ).result == {"path": "a", "width": 1.0}


WRONG = """
import asyncio
from task_queue import Context
from task_queue.client import AsyncClient, Client, task

@task(queue="pictures")
def resize(path: str, width: int = 640) -> int:
    return width

@task(context=True)
async def send(task: Context, to: str) -> None: ...

resize.publish("cat.png", width=320).wait(30)
resize.publish("cat.png", width="320")
resize.publish(width=3)
resize.publish("cat.png", widht=3)
send.publish("ada")
send.publish(3)
resize.on(Client()).options(priority=5, delay_seconds=3).publish("cat.png", 3)
resize.options(prority=5)
reveal_type(resize("cat.png"))
reveal_type(resize.on(AsyncClient()).publish("cat.png"))
client = Client()
reveal_type(client.get("1"))
reveal_type(AsyncClient().get("1"))
reveal_type(client.tasks(status="dead"))
reveal_type(AsyncClient().tasks())
reveal_type(client.task("resize").wait(30))
client.task("resize", quue="a")
client.tasks(status="lost")
client.pause(3)
"""


def test_a_type_checker_finds_what_is_wrong_at_the_caller(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(WRONG)
    command = ("-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "use.py")
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT / ".venv" / "source"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.partition(":")[2] for line in done.stdout.splitlines()]
    errors = {int(line.partition(":")[0]): line for line in lines if " error: " in line}
    assert sorted(errors) == [14, 15, 16, 18, 20, 22, 25, 29, 30, 31], done.stdout
    assert 'Argument "width" to "publish"' in errors[14]
    assert 'incompatible type "str"; expected "int"' in errors[14]
    assert 'Missing positional argument "path"' in errors[15]
    assert '"widht"' in errors[16]
    assert "must be used" in errors[22]  # nobody awaits it
    revealed = [line.partition('"')[2].rstrip('"') for line in lines if "Revealed" in line]
    assert [_short(each) for each in revealed] == [
        "int",
        "Coroutine[Any, Any, AsyncTaskHandle]",
        "Task",
        "Coroutine[Any, Any, Task]",
        "Iterator[Task]",
        "AsyncIterator[Task]",
        "Task",
    ]


def _short(revealed: str) -> str:
    """The type without the modules that its names are in."""
    return re.sub(r"\b(?:\w+\.)+", "", revealed)
