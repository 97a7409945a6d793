"""Either client, used as the one that blocks: a test is written once."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, cast

from task_queue.client import AsyncClient, AsyncTaskHandle, Client

CLIENTS = ["blocking", "awaited"]
"""The parameters of a fixture or a test that takes either."""


@contextmanager
def client_of(kind: str, *arguments: Any, **options: Any) -> Iterator[Client]:  # noqa: ANN401
    """A client that is closed at the end of the block."""
    if kind == "blocking":
        with Client(*arguments, **options) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        awaited = AsyncClient(*arguments, **options)
        try:
            yield cast("Client", _InLoop(runner, awaited))
        finally:
            runner.run(awaited.close())


class _InLoop:
    """What is awaited is awaited in a loop that runs for that alone."""

    def __init__(self, runner: asyncio.Runner, target: AsyncClient | AsyncTaskHandle) -> None:
        self._runner, self._target = runner, target

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        found = getattr(self._target, name)
        return self._called(found) if callable(found) else found

    def _called(self, method: Any) -> Any:  # noqa: ANN401 - a method
        def call(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 - what it returns
            came = method(*args, **kwargs)
            if isinstance(came, AsyncIterator):
                return self._each(came)
            if inspect.iscoroutine(came):
                came = self._runner.run(came)
            return _InLoop(self._runner, came) if isinstance(came, AsyncTaskHandle) else came

        return call

    def _each(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:  # noqa: ANN401 - the next one
            return await anext(items, None)

        while (item := self._runner.run(following())) is not None:
            yield item
