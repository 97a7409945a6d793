"""A Python function as an action: how it is found, which data it takes, and how it is called."""

import asyncio
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from types import CoroutineType
from typing import Any, get_args, get_origin, get_type_hints

import orjson

from task_queue.actors.actions.call import SLICE_SECONDS, Call
from task_queue.actors.actions.context import Context
from task_queue.actors.errors import ActionLoadError, Cancelled, InvalidDataError, Reject, TimedOut
from task_queue.actors.tasks.text import described, shown, titled

CONTEXT_NAMES = {"task", "context"}
"""The names by which a second parameter with a default gets the context all the same."""
AS_ACTION = "__action__"
"""What an object has that is called in another way by its users, as what `@task` of the client
makes: the function that takes the data and the context."""

_NO_OBJECTS = {"array", "boolean", "integer", "null", "number", "string"}
"""The types of JSON but object."""
_HANDS_ON = {contextlib.__file__, functools.__file__}
"""The files of decorators whose functions return what the decorated function does, or what holds
it, as that of `contextlib.contextmanager`."""
_ABOUT_MEMBERS = {"value_error", "assertion_error", "missing", "missing_argument"}
"""What pydantic calls errors of a type's own validators, and of members that are not there: with
others in it, an object may be of the type."""
_VALUES = (bool, dict, float, int, list, str)
"""The types by which Python holds values of JSON."""
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


class PythonFunction:
    """A function that takes the data, and the context too if it has a second parameter.

    Attributes:
        description: The first line of its docstring.
        schema: The JSON Schema of its data; None: any object will do.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read its signature.

        Raises:
            ActionLoadError: It cannot be called so, a call of it gives no result, or its data
                cannot be checked by its type.
        """
        function = _as_action(function)
        _check_kind(function)
        self._function = function
        parameters = _parameters(function)
        self._wants_context = _wants_context(parameters)
        hint = _hint(function, parameters[0]) if parameters else None
        self._adapter: Any = None if _is_any_object(hint) else _adapter(hint)
        self.schema: Mapping[str, Any] | None = self._adapter and self._adapter.json_schema()
        self.description = _first_line(function)

    def check(self, data: str) -> None:
        """Accept the data, a JSON object as text.

        Raises:
            InvalidDataError: It is not what the function takes.
        """
        if self._adapter is not None:
            self._parsed(data)

    def call(self, call: Call) -> Any:  # noqa: ANN401 - whatever the function returns
        """Call the function, and return what it returns.

        Raises:
            Reject: The data is not what it takes.
            BaseException: Whatever it raises.
        """
        data = orjson.loads(call.claimed.data) if self._adapter is None else self._given(call)
        if self._wants_context:
            result = self._function(data, Context(call))
        else:
            result = self._function(data)
        if type(result) is CoroutineType:
            result, error = asyncio.run(_finished(result, call))
            if error is not None:
                raise error
        return result

    def _given(self, call: Call) -> Any:  # noqa: ANN401 - of the type that the function names
        try:
            return self._parsed(call.claimed.data)
        except InvalidDataError as error:  # its type has changed since the publish
            raise Reject(str(error)) from error

    def _parsed(self, data: str) -> Any:  # noqa: ANN401 - of the type that the function names
        from pydantic import ValidationError  # noqa: PLC0415 - see `_adapter`

        from task_queue.config.problems import PREDICATES, way_to  # noqa: PLC0415 - as above

        try:
            return self._adapter.validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            message, kind = first["msg"], first["type"]
            problem = f"{message[:1].lower()}{message[1:]}, not {shown(first['input'])}"
            if kind in {"missing", "extra_forbidden"}:
                problem = PREDICATES[kind]
            raise InvalidDataError(way_to(first["loc"], "data"), problem) from error


def imported(name: str, target: str) -> PythonFunction:
    """Import the function.

    Args:
        name: The name of the action in the settings, for errors.
        target: Where it is, as `module:function`.

    Raises:
        ActionLoadError: The module cannot be imported, has no such function, or it cannot be used.
    """
    module_name, _, function_name = target.partition(":")
    try:
        found = getattr(import_module(module_name), function_name)
    except (Exception, SystemExit) as error:  # whatever a module's own code raises
        if type(error) is not SystemExit and isinstance(error, SystemExit):
            raise  # that of a signal has a type of its own
        message = f"{name} = {target!r} cannot be imported: {titled(error)}"
        message += _raised_at(error) + _why_missing(module_name, error)
        raise ActionLoadError(message.replace("\n", " ")) from error
    try:
        return PythonFunction(found)
    except ActionLoadError as error:
        message = f"{name} = {target!r} cannot be used: {error}"
        raise ActionLoadError(message) from error


def _why_missing(module: str, error: BaseException) -> str:
    """Return, for errors, where the user's module was looked for, or what hides it, if either."""
    package = module.partition(".")[0]
    own, found = Path.cwd() / package, sys.modules.get(package)
    if found is None:
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        return f"; it is neither installed nor in the folder {own.parent}" if missing else ""
    # A package without `__init__.py` has folders and no file.
    places = (*getattr(found, "__path__", ()), getattr(found, "__file__", None) or "Python itself")
    mine = {str(own), str(own.with_suffix(".py"))}
    if mine.intersection(places) or not any(Path(each).exists() for each in mine):
        return ""
    return f"; {package!r} is found in {places[-1]}, which comes before the current folder"


def _raised_at(error: BaseException) -> str:
    """Return, for errors, the line of the module that raised it, if there is one."""
    frames = extract_tb(error.__traceback__)[2:]  # without this file's line, and `import_module`'s
    own = [each for each in frames if not each.filename.startswith("<")]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


async def _finished(
    coroutine: Coroutine[Any, Any, Any], call: Call
) -> tuple[Any, BaseException | None]:
    """Run the coroutine, unless it is cancelled or takes too long; return as `_ended` does."""
    running = asyncio.ensure_future(_ended(coroutine))
    while not (await asyncio.wait({running}, timeout=SLICE_SECONDS))[0]:
        try:
            call.interrupt()
        except (Cancelled, TimedOut):
            call.is_cleaning_up = True
            running.cancel()
            await asyncio.wait({running})
            raise
    return running.result()


async def _ended(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """Return what the coroutine returns, or what it raises.

    An error is no error to asyncio then, which would look at it: an error of an action may refuse.
    """
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised again outside of the task
        return None, error


def _as_action(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that takes the data.

    Raises:
        ActionLoadError: It cannot be made, as a type is not known.
    """
    try:
        found: Callable[..., Any] = getattr(function, AS_ACTION, function)
    except Exception as error:  # whatever evaluating a type raises
        message = f"the type of its data is not known: {described(error)}"
        raise ActionLoadError(message) from error
    return found


def _check_kind(function: object) -> None:
    """Accept what gives its result when it is called, or a coroutine that does.

    Raises:
        ActionLoadError: It is no function, or each call of it would only make a generator.
    """
    what = None
    runs = _behind(function)
    if isinstance(runs, type) or isinstance(get_origin(runs), type):
        what = "it is a class; name a function"
    elif not callable(function):
        what = f"it is of the type {type(function).__name__}; name a function"
    elif inspect.isgeneratorfunction(runs) or inspect.isasyncgenfunction(runs):
        what = "it is a generator, as it has a yield; return a list, or report with task.progress"
    if what is not None:
        raise ActionLoadError(what)


def _behind(function: object) -> object:
    """Return the function whose result is the result of this callable.

    That is not what a decorator has wrapped: it may make a list of what a generator yields.
    """
    if isinstance(function, partial):
        return _behind(function.func)
    if inspect.isfunction(function) and function.__code__.co_filename in _HANDS_ON:
        return _behind(getattr(function, "__wrapped__", None))
    if inspect.isfunction(function) or inspect.ismethod(function) or isinstance(function, type):
        return function
    call = type(function).__call__ if callable(function) else None
    if inspect.isfunction(call):  # an object with a method of that name
        return call
    # A `staticmethod` or a function with `functools.cache`, in C: they hand on what they get.
    return _behind(function.__wrapped__) if hasattr(function, "__wrapped__") else function


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that may be given by position; none if the function does not tell.

    Raises:
        ActionLoadError: It cannot be called with the data alone, nor with data and context.
    """
    try:
        all_of_them = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions in C have no signature
        return []
    positional = [each for each in all_of_them if each.kind in _POSITIONAL]
    required = [each for each in positional if each.default is each.empty]
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in all_of_them)
    named_only = any(
        each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in all_of_them
    )
    if not (positional or takes_any) or len(required) > 2 or named_only:  # noqa: PLR2004
        message = f"it must take (data) or (data, task), not {inspect.signature(function)}"
        raise ActionLoadError(message)
    for second in required[1:]:
        if _is_no_context(second.annotation):
            message = (
                f"its second parameter gets the task, and is annotated as {second};"
                " all members of the data are in the first one"
            )
            raise ActionLoadError(message)
    return positional


def _is_no_context(annotation: Any) -> bool:  # noqa: ANN401 - a type, or its name
    """Return whether it is a type of values of JSON, which the context is not."""
    kind = get_origin(annotation) or annotation
    name = kind.partition("[")[0] if isinstance(kind, str) else None
    return any(kind is each or name == each.__name__ for each in _VALUES)


def _wants_context(parameters: list[inspect.Parameter]) -> bool:
    """Return whether the function takes a `Context` besides the data."""
    if len(parameters) < 2:  # noqa: PLR2004 - the data and it
        return False
    second = parameters[1]
    return second.default is second.empty or second.name in CONTEXT_NAMES


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - a type
    """Return the type of the data; None if the function does not name one."""
    if parameter.annotation is parameter.empty:
        return None
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    inner = inspect.unwrap(function)
    while isinstance(inner, partial):
        inner = inspect.unwrap(inner.func)
    named = inner if hasattr(inner, "__globals__") else type(inner).__call__
    # Only this one is evaluated: names in the others may exist for type checkers only.
    holder = type("holder", (), {"__annotations__": {"data": parameter.annotation}})
    try:
        return get_type_hints(holder, getattr(named, "__globals__", {}), include_extras=True)[
            "data"
        ]
    except Exception as error:  # whatever evaluating it raises
        message = f"the type of its data, {parameter.annotation}, is not known: {described(error)}"
        raise ActionLoadError(message) from error


def _is_any_object(hint: Any) -> bool:  # noqa: ANN401 - a type
    """Return whether every JSON object is of this type."""
    if any(hint is each for each in (None, Any, object, dict, Mapping)):
        return True
    any_of_them = ((), (str, Any), (str, object))
    return get_origin(hint) in {dict, Mapping} and get_args(hint) in any_of_them


def _adapter(hint: Any) -> Any:  # noqa: ANN401 - a type, and pydantic's `TypeAdapter` for it
    """Return what turns JSON into the type."""
    # Imported where it is needed: a process for actions whose data has no type starts faster.
    from pydantic import TypeAdapter  # noqa: PLC0415

    from task_queue.actors.actions.python.typed_dict import understood  # noqa: PLC0415 - as above

    try:
        adapter = TypeAdapter(understood(hint))
        kinds = _kinds(adapter.json_schema())
    except Exception as error:  # whatever a type's own code raises
        text = described(error).partition("\n")[0]
        message = f"the type of its data cannot be checked: {text}"
        raise ActionLoadError(message) from error
    if kinds <= _NO_OBJECTS and _refuses_objects(adapter):
        kind = " or ".join(sorted(kinds))
        message = f"the type of its data is JSON's {kind}, and data is always an object"
        raise ActionLoadError(message)
    return adapter


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Return the types of JSON that values of a schema have; `any` where it does not tell."""
    if "anyOf" in schema:
        return set().union(*map(_kinds, schema["anyOf"]))
    return {schema.get("type", "any")}


def _refuses_objects(adapter: Any) -> bool:  # noqa: ANN401 - pydantic's `TypeAdapter`
    """Return whether the type itself takes no object; a validator of its own may make one fit."""
    from pydantic import ValidationError  # noqa: PLC0415 - see `_adapter`

    try:
        adapter.validate_json("{}")
    except ValidationError as error:
        return all(
            each["type"] not in _ABOUT_MEMBERS and each["input"] == {}
            for each in error.errors(include_url=False)  # one for each type of a union
        )
    except Exception:  # noqa: BLE001 - a validator's own code, which may ask for members
        return False
    return False


def _first_line(function: Callable[..., Any]) -> str | None:
    text = inspect.getdoc(function)
    return text.partition("\n")[0] if text else None
