"""How one description of an operation serves two clients: one that blocks, one that is awaited.

An operation is written once, as a function that returns a flow. On a blocking client it is a
method that returns the result, on an awaited one a method that returns a coroutine of the same; the
parameters, and their types, are those of the function.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from task_queue.api.client.flow import Flow
from task_queue.api.client.results.document import Page

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Pages = Callable[[str | None], Flow[Page[T]]]
"""Returns the page that begins at a cursor; None: the first one."""


class Blocking(ABC):
    """What runs a flow, and returns what comes of it."""

    @abstractmethod
    def _run(self, flow: Flow[R]) -> R:
        """Do all that the flow says."""

    def _each(self, pages: Pages[T]) -> Iterator[T]:
        cursor = None
        while True:
            page = self._run(pages(cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return


class Awaited(ABC):
    """What runs a flow in an event loop, and returns what comes of it."""

    @abstractmethod
    async def _run(self, flow: Flow[R]) -> R:
        """Do all that the flow says."""

    async def _each(self, pages: Pages[T]) -> AsyncIterator[T]:
        cursor = None
        while True:
            page = await self._run(pages(cursor))
            for each in page.items:
                yield each
            cursor = page.next_cursor
            if cursor is None:
                return


class _Described:
    """What a class says of an operation."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__doc__ = function.__doc__
        self.__wrapped__ = function  # `help` shows its parameters


class Operation(_Described, Generic[P, R]):
    """A method of both clients; made by `operation`.

    Attributes:
        flow: The function that describes it, for other operations.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], Flow[R]]) -> None:
        super().__init__(function)
        self.flow = function

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, client: Awaited, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """Return the method of this client."""
        if client is None:
            return self

        @wraps(self.flow)
        def run(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - R, or a coroutine of it
            return client._run(self.flow(client, *args, **kwargs))  # noqa: SLF001 - of both

        return run


class Listing(_Described, Generic[P, T]):
    """A method of both clients that goes through pages as they are needed; made by `listing`."""

    def __init__(self, function: Callable[Concatenate[Any, P], Pages[T]]) -> None:
        super().__init__(function)
        self._function = function

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: Awaited, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """Return the method of this client."""
        if client is None:
            return self

        @wraps(self._function)
        def run(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - one of two iterators
            return client._each(self._function(client, *args, **kwargs))  # noqa: SLF001 - of both

        return run


operation = Operation
listing = Listing
