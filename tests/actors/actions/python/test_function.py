"""What a function may look like, what it is called with, and what becomes of what it raises."""

import asyncio
import contextlib
import functools
import gc
import re
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    TypedDict,
)

import pydantic
import pytest

from task_queue.actors.actions.call import Call
from task_queue.actors.actions.context import Context
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.actions.python.thread import ThreadAction, keep_output_open
from task_queue.actors.errors import ActionLoadError, Cancelled, InvalidDataError, Reject, TimedOut
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.text import MAX_SHOWN_CHARS

if TYPE_CHECKING:  # known to type checkers only
    from task_queue.actors.actions.context import Context as Hidden

LEASE = Lease("task", 7)
DATA = '{"n":1}'


def a_call(data: str = DATA, *, timeout_seconds: float = 0.0, slot: Slot | None = None) -> Call:
    claimed = ClaimedTask(LEASE, "mine", data, 2, 5)
    return Call(claimed, slot or Slot("tasks"), timeout_seconds)


def called(function: Callable[..., Any], data: str = DATA) -> Any:  # noqa: ANN401 - its result
    return PythonFunction(function).call(a_call(data))


def in_thread(function: Callable[..., Any]) -> ThreadAction:
    return ThreadAction(
        PythonFunction(function), timeout_seconds=0.0, overdue_seconds=1.0, max_result_bytes=1000
    )


# --- what it is called with -----------------------------------------------------------------


class Act:
    def __call__(self, data: Any) -> Any:  # noqa: ANN401
        return (data,)

    def with_context(self, data: Any, context: Context) -> Any:  # noqa: ANN401
        return data, context

    async def later(self, data: Any, context: Context) -> Any:  # noqa: ANN401
        return data, context


class Later:
    async def __call__(self, data: Any) -> Any:  # noqa: ANN401
        return (data,)


def alone(data: Any) -> Any:  # noqa: ANN401
    return (data,)


def with_default(data: Any, tries: int = 3) -> Any:  # noqa: ANN401
    return data, tries


def with_rest(data: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
    return data, *rest, more


def rest_only(*rest: Any) -> Any:  # noqa: ANN401
    return rest


def named_task(data: Any, *, task: Any = None) -> Any:  # noqa: ANN401
    return data, task


def pair(first: Any, second: Any) -> Any:  # noqa: ANN401
    return first, second


def both(data: Any, context: Context) -> Any:  # noqa: ANN401
    return data, context


def both_by_position(data: Any, context: Context, /) -> Any:  # noqa: ANN401
    return data, context


def any_name(data: Any, whatever: Context, tries: int = 3) -> Any:  # noqa: ANN401
    assert tries == 3
    return data, whatever


def optional_task(data: Any, task: Context | None = None) -> Any:  # noqa: ANN401
    return data, task


def optional_context(data: Any, context: Context | None = None) -> Any:  # noqa: ANN401
    return data, context


@functools.wraps(both)
def wrapper(*arguments: Any) -> Any:  # noqa: ANN401
    return both(*arguments)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (alone, ({"n": 1},)),
        (with_default, ({"n": 1}, 3)),
        (with_rest, ({"n": 1}, {})),
        (rest_only, ({"n": 1},)),
        (named_task, ({"n": 1}, None)),
        (Act(), ({"n": 1},)),
        (Later(), ({"n": 1},)),
        (functools.partial(pair, "first"), ("first", {"n": 1})),
        (len, 1),
        (max, "n"),  # of C, without a signature
    ],
)
def test_a_function_of_one_parameter_gets_the_data_alone(
    function: Callable[..., Any], expected: object
) -> None:
    assert called(function) == expected


@pytest.mark.parametrize(
    "function",
    [
        both,
        both_by_position,
        any_name,
        Act().with_context,
        Act().later,
        wrapper,
        functools.partial(any_name, tries=3),
        optional_task,
        optional_context,
    ],
)
def test_a_function_of_two_parameters_gets_the_context_too(function: Callable[..., Any]) -> None:
    data, context = called(function)
    assert data == {"n": 1}
    assert isinstance(context, Context)
    assert (context.id, context.queue, context.attempt) == ("task", "tasks", 2)


def price(data: Any, pieces: int) -> None: ...  # noqa: ANN401


def names(data: Any, names: "list[str]") -> None: ...  # noqa: ANN401


def counted(data: Any, task: Any, pieces: int = 1) -> None: ...  # noqa: ANN401


@pytest.mark.parametrize(
    ("function", "second"), [(price, "pieces: int"), (names, "names: 'list[str]'")]
)
def test_a_function_whose_second_parameter_cannot_be_the_task_is_refused(
    function: Callable[..., Any], second: str
) -> None:
    with pytest.raises(ActionLoadError) as refused:
        PythonFunction(function)
    assert str(refused.value) == (
        f"its second parameter gets the task, and is annotated as {second};"
        " all members of the data are in the first one"
    )
    PythonFunction(counted)


def nothing() -> None: ...


def three(data: Any, task: Any, more: Any) -> None: ...  # noqa: ANN401


def name_needed(data: Any, *, tries: int) -> None: ...  # noqa: ANN401


def names_only(*, data: Any = None) -> None: ...  # noqa: ANN401


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (nothing, "() -> None"),
        (three, "(data: Any, task: Any, more: Any) -> None"),
        (name_needed, "(data: Any, *, tries: int) -> None"),
        (names_only, "(*, data: Any = None) -> None"),
    ],
)
def test_a_function_that_cannot_be_called_so_is_refused_and_its_signature_shown(
    function: Callable[..., Any], signature: str
) -> None:
    with pytest.raises(ActionLoadError) as refused:
        PythonFunction(function)
    assert str(refused.value).replace("typing.", "") == (
        f"it must take (data) or (data, task), not {signature}"
    )


def rows(_data: object) -> Iterator[int]:
    yield 1


async def stream(_data: object) -> AsyncIterator[int]:
    yield 1


class Rows:
    def __call__(self, _data: object) -> Iterator[int]:
        yield 1

    def of_it(self, _data: object) -> Iterator[int]:
        yield 1


class Stream:
    async def __call__(self, _data: object) -> AsyncIterator[int]:
        yield 1


@functools.wraps(rows)
def as_list(data: object) -> list[int]:
    return list(rows(data))


@functools.wraps(rows)
def handed_on(data: object) -> Iterator[int]:
    return rows(data)


class Colour(Enum):
    RED = 1


GENERATOR = "it is a generator, as it has a yield; return a list, or report with task.progress"
CLASS = "it is a class; name a function"


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        *dict.fromkeys(
            (
                rows,
                stream,
                Rows(),
                Rows().of_it,
                Stream(),
                lambda data: (yield data),
                staticmethod(rows),
                functools.cache(rows),
                functools.singledispatch(rows),
                contextlib.contextmanager(rows),
                functools.partial(rows),
                functools.partial(functools.partial(Stream())),
            ),
            GENERATOR,
        ).items(),
        *dict.fromkeys((Rows, int, dict, Colour, functools.partial(int), list[int]), CLASS).items(),
        (typing, "it is of the type module; name a function"),
        ("rows", "it is of the type str; name a function"),
        (None, "it is of the type NoneType; name a function"),
        (classmethod(rows), "it is of the type classmethod; name a function"),
        (object(), "it is of the type object; name a function"),
    ],
)
def test_what_would_fail_at_every_run_is_refused(function: Any, problem: str) -> None:  # noqa: ANN401
    with pytest.raises(ActionLoadError) as refused:
        PythonFunction(function)
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (int, "integer"),
        (str, "string"),
        (type(None), "null"),
        (list[dict[str, int]], "array"),
        (tuple, "array"),
        (Literal["x"], "string"),
        (pydantic.RootModel[list[int]], "array"),
        (int | str, "integer or string"),
        (list[int] | None, "array or null"),
        (Decimal, "number or string"),
    ],
)
def test_so_is_a_type_of_the_data_that_takes_no_object(hint: Any, kind: str) -> None:  # noqa: ANN401
    def function(data: Any) -> None: ...  # noqa: ANN401

    function.__annotations__["data"] = hint
    with pytest.raises(ActionLoadError) as refused:
        PythonFunction(function)
    assert str(refused.value) == (
        f"the type of its data is JSON's {kind}, and data is always an object"
    )


@pytest.mark.parametrize(
    "hint",
    [
        NamedTuple("Size", [("width", int)]),
        Annotated[str, pydantic.BeforeValidator(lambda data: data["name"])],
        Annotated[str, pydantic.BeforeValidator(lambda data: data.get("name"))],
        int | dict[str, int],
        pydantic.RootModel[dict[str, int]],
    ],
)
def test_a_type_that_an_object_may_become_is_taken(hint: Any) -> None:  # noqa: ANN401
    def function(data: Any) -> None: ...  # noqa: ANN401

    function.__annotations__["data"] = hint
    PythonFunction(function)


def test_what_a_decorator_makes_of_a_generator_counts() -> None:
    assert called(as_list) == [1]


@pytest.mark.parametrize("function", [lambda _: rows(None), lambda _: stream(None), handed_on])
def test_a_function_that_turns_out_to_return_a_generator_says_so(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(
        Reject, match=r"^result: (async_)?generator has no JSON form; return a list"
    ):
        in_thread(function).run(a_call())


def test_the_first_line_of_its_docstring_describes_it() -> None:
    def described(_data: Any) -> None:  # noqa: ANN401
        """Say what it does.

        And how.
        """

    assert PythonFunction(described).description == "Say what it does."
    assert PythonFunction(alone).description is None


# --- what type its data has -----------------------------------------------------------------


@dataclass
class Size:
    width: int
    height: int = 1


class Picture(pydantic.BaseModel):
    sizes: list[Size]
    name: Annotated[str, pydantic.Field(max_length=5)] = "x"


class Base(TypedDict, total=False):
    note: str
    width: Required[int]


class Typed(Base):
    height: NotRequired[int]
    depth: int


class Nested(TypedDict):
    one: Typed
    many: list[Typed]
    perhaps: NotRequired[Typed | None]
    named: dict[str, Annotated[Typed, "a remark"]]


def of_dataclass(data: Size) -> object:
    return data


def of_model(data: Picture) -> object:
    return data


def of_typed_dict(data: Typed) -> object:
    return data


def of_nested(data: Nested) -> object:
    return data


def of_annotated(data: Annotated[Size, "a remark"]) -> object:
    return data


def of_name(data: "Size", task: "Hidden") -> object:
    assert isinstance(task, Context)
    return data


def of_name_by_keyword(quality: int, data: "Size") -> object:
    assert quality == 3
    return data


of_part = functools.partial(of_name_by_keyword, 3)

TYPED = '{"width":1,"depth":3}'
TYPED_ALL = '{"width":1,"depth":3,"height":2,"note":"n"}'


@pytest.mark.parametrize(
    ("function", "data", "expected"),
    [
        (of_dataclass, '{"width":2}', Size(2)),
        (of_annotated, '{"width":2,"height":3}', Size(2, 3)),
        (of_name, '{"width":2}', Size(2)),
        (of_part, '{"width":2}', Size(2)),
        (of_model, '{"sizes":[{"width":2}]}', Picture(sizes=[Size(2)])),
        (of_typed_dict, TYPED, {"width": 1, "depth": 3}),
        (of_typed_dict, TYPED_ALL, {"width": 1, "depth": 3, "height": 2, "note": "n"}),
        (
            of_nested,
            f'{{"one":{TYPED},"many":[{TYPED}],"perhaps":null,"named":{{"a":{TYPED}}}}}',
            {
                "one": {"width": 1, "depth": 3},
                "many": [{"width": 1, "depth": 3}],
                "perhaps": None,
                "named": {"a": {"width": 1, "depth": 3}},
            },
        ),
    ],
)
def test_it_gets_its_data_in_the_type_that_it_names(
    function: Callable[..., Any], data: str, expected: object
) -> None:
    PythonFunction(function).check(data)
    assert called(function, data) == expected


def test_a_string_names_a_type_of_the_module_in_which_an_action_that_is_an_object_is_made() -> None:
    class Resize:
        def __call__(self, data: "Size") -> object:
            return data

    assert called(Resize(), '{"width":2}') == Size(2)


WIDE = (
    "data.sizes[2].width: input should be a valid integer,"
    ' unable to parse string as an integer, not "wide"'
)
NINES = "9" * 30
LONG = "x" * (MAX_SHOWN_CHARS + 1)


@pytest.mark.parametrize(
    ("function", "data", "problem"),
    [
        (of_dataclass, "{}", "data.width: is missing"),
        (of_typed_dict, '{"width":1}', "data.depth: is missing"),
        (of_typed_dict, '{"depth":1}', "data.width: is missing"),
        (
            of_model,
            '{"sizes":[{"width":1},{"width":2},{"width":"wide"}]}',
            WIDE,
        ),
        (
            of_model,
            '{"sizes":[],"name":"too long"}',
            'data.name: string should have at most 5 characters, not "too long"',
        ),
        (
            of_nested,
            f'{{"one":{TYPED},"many":[{TYPED},{{"width":[1],"depth":3}}],"named":{{}}}}',
            "data.many[1].width: input should be a valid integer, not [1]",
        ),
        (
            of_nested,
            f'{{"one":{TYPED},"many":[],"named":{{"a":{{"width":null,"depth":3}}}}}}',
            "data.named.a.width: input should be a valid integer, not null",
        ),
        (
            of_model,
            f'{{"sizes":[],"name":"{LONG}"}}',
            f'data.name: string should have at most 5 characters, not "{LONG[:-2]}…',
        ),
        (
            of_model,
            f'{{"sizes":[],"name":{NINES}}}',
            f"data.name: input should be a valid string, not {NINES}",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused_and_the_member_and_its_value_are_named(
    function: Callable[..., Any], data: str, problem: str
) -> None:
    with pytest.raises(InvalidDataError) as refused:
        PythonFunction(function).check(data)
    assert str(refused.value) == problem


def test_a_member_that_a_model_forbids_is_not_known() -> None:
    class Strict(pydantic.BaseModel, extra="forbid"):
        width: int

    def strict(_data: Strict) -> None: ...

    with pytest.raises(InvalidDataError, match=r"^data\.heigth: is not known$"):
        PythonFunction(strict).check('{"width":1,"heigth":2}')


def test_data_that_does_not_fit_any_more_when_it_is_run_is_rejected() -> None:
    with pytest.raises(Reject, match=r"^data\.width: is missing$"):
        called(of_dataclass, "{}")


def test_the_schema_of_its_data_is_shown() -> None:
    schema = PythonFunction(of_nested).schema
    assert schema is not None
    assert schema["required"] == ["one", "many", "named"]
    typed = schema["$defs"]["Typed"]
    assert typed["required"] == ["width", "depth"]
    assert {name: each["type"] for name, each in typed["properties"].items()} == {
        "note": "string",
        "width": "integer",
        "height": "integer",
        "depth": "integer",
    }


def of_dict(data: dict) -> object:  # type: ignore[type-arg]
    return data


def of_dict_of_any(data: dict[str, Any]) -> object:
    return data


def of_old_dict(data: typing.Dict) -> object:  # type: ignore[type-arg] # noqa: UP006
    return data


def of_old_mapping(data: typing.Mapping[str, Any]) -> object:
    return data


def of_mapping(data: Mapping[str, object]) -> object:
    return data


def of_quoted_dict(data: "dict[str, Any]") -> object:
    return data


def of_object(data: object) -> object:
    return data


@pytest.mark.parametrize(
    "function",
    [
        lambda data: data,
        of_dict,
        of_dict_of_any,
        of_old_dict,
        of_old_mapping,
        of_mapping,
        of_quoted_dict,
        of_object,
    ],
)
def test_where_any_object_will_do_there_is_no_schema_and_no_check(
    function: Callable[..., Any],
) -> None:
    action = PythonFunction(function)
    assert action.schema is None
    action.check('{"any":["thing"]}')
    assert action.call(a_call('{"any":["thing"]}')) == {"any": ["thing"]}


class Unknown:
    """Nothing says how JSON becomes one."""


@dataclass
class Unfinished:
    hidden: "Hidden"


@dataclass
class Calls:
    call: Callable[[], None]


def of_hidden(data: "Hidden") -> None: ...


def of_unknown(data: Unknown) -> None: ...


def of_unfinished(data: Unfinished) -> None: ...


def of_calls(data: Calls) -> None: ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (of_hidden, "the type of its data, Hidden, is not known: name 'Hidden' is not defined"),
        (of_unknown, "the type of its data cannot be checked: Unable to generate .*Unknown"),
        (of_unfinished, "the type of its data cannot be checked: .*Unfinished.* not fully defined"),
        (of_calls, "the type of its data cannot be checked: Cannot generate a JsonSchema"),
    ],
)
def test_a_type_that_cannot_be_used_is_one_clear_line(
    function: Callable[..., Any], problem: str
) -> None:
    with pytest.raises(ActionLoadError) as refused:
        PythonFunction(function)
    assert re.match(problem, str(refused.value))
    assert "\n" not in str(refused.value)


# --- how it is run --------------------------------------------------------------------------


def test_what_a_function_returns_is_the_result_as_json() -> None:
    assert in_thread(alone).run(a_call()).result == '[{"n":1}]'


def test_an_asynchronous_function_is_awaited() -> None:
    async def doubled(data: Any) -> int:  # noqa: ANN401
        await asyncio.sleep(0)
        return int(data["n"]) * 2

    assert in_thread(doubled).run(a_call()).result == "2"


@pytest.mark.parametrize(
    ("stop", "timeout_seconds", "error", "text"),
    [(LEASE, 0.0, Cancelled, "cancelled"), (None, 0.05, TimedOut, "timed out after 0.05 s")],
)
def test_an_asynchronous_function_that_has_to_stop_is_cancelled_and_cleans_up(
    stop: Lease | None, timeout_seconds: float, error: type[Exception], text: str
) -> None:
    slot, cleaned = Slot(), []

    async def waits_for_ever(_data: Any) -> None:  # noqa: ANN401
        slot.stop = stop
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # what it does here may take its time, too
            cleaned.append("up")

    call = a_call(timeout_seconds=timeout_seconds, slot=slot)
    with pytest.raises(error, match=f"^{text}$"):
        PythonFunction(waits_for_ever).call(call)
    assert cleaned == ["up"]


def test_an_asynchronous_function_that_is_asked_to_stop_for_another_task_goes_on() -> None:
    slot = Slot()

    async def waits_a_little(_data: Any) -> str:  # noqa: ANN401
        slot.stop = Lease("another", 7)
        await asyncio.wait({asyncio.ensure_future(asyncio.Event().wait())}, timeout=0.25)
        return "done"

    assert PythonFunction(waits_a_little).call(a_call(slot=slot)) == "done"


def test_what_others_print_to_and_the_log_goes_to_cannot_be_closed_by_an_action(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def closes(_data: Any) -> None:  # noqa: ANN401
        sys.stdout.close()
        with sys.stderr:
            pass

    with monkeypatch.context() as patch:  # over before `capfd` is
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            stream = open(descriptor, "w", closefd=False)  # noqa: SIM115 - as at start
            patch.setattr(sys, name, stream)
        keep_output_open()
        in_thread(closes).run(a_call())
        in_thread(print).run(a_call())
        print("still here", flush=True, file=sys.stderr)
        sys.stdout.flush()
    assert capfd.readouterr() == ("{'n': 1}\n", "still here\n")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_it_raises_passes(error: BaseException) -> None:
    def raises(_data: Any) -> None:  # noqa: ANN401
        raise error

    with pytest.raises(type(error)) as raised:
        in_thread(raises).run(a_call())
    assert raised.value is error


def test_whatever_an_asynchronous_function_raises_passes_and_is_not_logged_besides(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def exits(_data: Any) -> None:  # noqa: ANN401
        raise SystemExit(3)

    with pytest.raises(SystemExit, match="3"):
        in_thread(exits).run(a_call())
    gc.collect()
    assert caplog.records == []


def test_what_an_asynchronous_function_raises_while_it_is_cancelled_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails_to_clean_up(_data: Any) -> None:  # noqa: ANN401
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    with pytest.raises(TimedOut):
        PythonFunction(fails_to_clean_up).call(a_call(timeout_seconds=0.01))
    gc.collect()
    assert caplog.records == []
