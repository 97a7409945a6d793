"""`@task`: a function that is run as a task, and published with its own parameters.

    from task_queue.client import task

    @task(queue="pictures")
    def resize(path: str, width: int = 640) -> dict[str, int]: ...

    resize.publish("cat.png", width=320)  # in a web application: a type checker knows what it takes
    resize("cat.png", width=320)  # in a test: the function itself

In the settings it stands as any function: `[actions] resize = "shop.images:resize"`. The members of
the task's data are its parameters.
"""

import inspect
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from task_queue.api.client.awaited import AsyncClient, AsyncTaskHandle
from task_queue.api.client.blocking import Client, TaskHandle
from task_queue.api.client.default import default_client
from task_queue.api.client.members import Members, NewTask

if TYPE_CHECKING:
    from task_queue.actors.actions.context import Context

P = ParamSpec("P")
"""The parameters that are published."""
C = ParamSpec("C")
"""All parameters."""
R = TypeVar("R")

WHOLE = "data"
"""The name of a function's only parameter if that gets the data as a whole."""
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


class TaskFunction(Generic[P, C, R]):
    """A function with `publish`; made by `task`.

    Attributes:
        action: The name of its action.
    """

    def __init__(
        self,
        function: Callable[C, R],
        action: str,
        members: Members,
        *,
        context: bool,
        client: Client | None = None,
    ) -> None:
        """Read the parameters of the function; see `task`.

        Raises:
            TypeError: It has a parameter that cannot be published.
        """
        update_wrapper(self, function)
        self.action = action
        self._function, self._members = function, members
        self._context, self._client = context, client
        self._signature = _published_parameters(function, context=context)

    def __call__(self, *args: C.args, **kwargs: C.kwargs) -> R:
        """Call the function itself, here and now."""
        return self._function(*args, **kwargs)

    def publish(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle:
        """Publish a task that calls the function with these arguments.

        Raises:
            TypeError: The function does not take them, or they cannot be written as JSON.
            ClientError: As of `Client.publish`.
        """
        new = self.new(*args, **kwargs)
        return (self._client or default_client()).task(new.action, new.data, **new.members)

    def new(self, *args: P.args, **kwargs: P.kwargs) -> NewTask:
        """Return the task that `publish` would publish, for a batch or a schedule.

        Raises:
            TypeError: The function does not take these arguments.
        """
        data = self._signature.bind(*args, **kwargs).arguments
        if list(self._signature.parameters) == [WHOLE]:
            data = data[WHOLE]
        return NewTask(self.action, data, self._members)

    def options(self, **members: Unpack[Members]) -> "TaskFunction[P, C, R]":
        """Return the same with these further members: `resize.options(priority=5).publish(…)`."""
        return self._with(cast("Members", {**self._members, **members}), self._client)

    @overload
    def on(self, client: Client) -> "TaskFunction[P, C, R]": ...
    @overload
    def on(self, client: AsyncClient) -> "AsyncTaskFunction[P]": ...
    def on(self, client: Client | AsyncClient) -> "TaskFunction[P, C, R] | AsyncTaskFunction[P]":
        """Return the same, published by this client; with an `AsyncClient`, `publish` is awaited.

        Otherwise it is a client for the URL and the key of the environment.
        """
        if isinstance(client, AsyncClient):
            return AsyncTaskFunction(client, self.new)
        return self._with(self._members, client)

    def _with(self, members: Members, client: Client | None) -> "TaskFunction[P, C, R]":
        return TaskFunction(
            self._function, self.action, members, context=self._context, client=client
        )

    @cached_property
    def __action__(self) -> Callable[..., Any]:
        """The function as actions are called: with the data, and the context.

        Made when the service asks for it: whoever only publishes does not need pydantic.
        """
        from task_queue.api.client.as_action import as_action  # noqa: PLC0415 - see above

        return as_action(self._function, self._signature, context=self._context)

    def __repr__(self) -> str:
        return f"<task {self.action}{self._signature}>"


class AsyncTaskFunction(Generic[P]):
    """A function whose `publish` is awaited; made by `TaskFunction.on`."""

    def __init__(self, client: AsyncClient, new: Callable[P, NewTask]) -> None:
        self._client, self._new = client, new

    async def publish(self, *args: P.args, **kwargs: P.kwargs) -> AsyncTaskHandle:
        """Publish a task that calls the function with these arguments; see `TaskFunction`."""
        new = self._new(*args, **kwargs)
        return await self._client.task(new.action, new.data, **new.members)


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, P, R]: ...
@overload
def task(
    action: str | None = None, /, *, context: Literal[True], **members: Unpack[Members]
) -> Callable[
    [Callable[Concatenate["Context", P], R]], TaskFunction[P, Concatenate["Context", P], R]
]: ...
@overload
def task(
    action: str | None = None, /, *, context: Literal[False] = False, **members: Unpack[Members]
) -> Callable[[Callable[P, R]], TaskFunction[P, P, R]]: ...
def task(
    function: Callable[..., Any] | str | None = None,
    /,
    *,
    context: bool = False,
    **members: Unpack[Members],
) -> Any:
    """Give a function `publish`, which takes what the function takes.

    Its parameters are the members of the task's data. One that takes a single parameter by the name
    of `data` gets the data as a whole, as an action without `@task` does.

    Args:
        function: The function, or the name of its action if that is not the function's own.
        context: Whether its first parameter gets the `Context` of the run, and is not published.
        members: What its tasks ask for, as in `queue="pictures"`; see `Members`.

    Raises:
        TypeError: It has a parameter that cannot be published.
    """

    def decorated(plain: Callable[..., Any]) -> TaskFunction[..., ..., Any]:
        action = function if isinstance(function, str) else getattr(plain, "__name__", "")
        return TaskFunction(plain, action, members, context=context)

    return decorated(function) if callable(function) else decorated


def _published_parameters(function: Callable[..., Any], *, context: bool) -> inspect.Signature:
    """Return the parameters that are published.

    Raises:
        TypeError: One of them cannot be.
    """
    name = getattr(function, "__name__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        message = f"{name} is a generator, as it has a yield; a task returns its result"
        raise TypeError(message)
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if context and not parameters:
        message = f"{name} has no parameter for the context"
        raise TypeError(message)
    for each in parameters[1:] if context else parameters:
        if each.kind not in _NAMED:
            message = f"{name} takes {each}, which has no name in the data; name all parameters"
            raise TypeError(message)
        if _is_context(each.annotation):
            message = f"{name} takes a Context: make it the first parameter, and say context=True"
            raise TypeError(message)
    return signature.replace(parameters=parameters[1:] if context else parameters)


def _is_context(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] == "Context"
    module = getattr(annotation, "__module__", "")
    return getattr(annotation, "__name__", "") == "Context" and module.startswith("task_queue.")
