"""The client that is awaited, and its tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from task_queue.api.client.flow import Flow, Patience, Send
from task_queue.api.client.members import Members
from task_queue.api.client.one_task import OneTask
from task_queue.api.client.operation import Awaited
from task_queue.api.client.operations import Operations
from task_queue.api.client.request import Answer, NoAnswer
from task_queue.api.client.transport import Address, answer_of, no_answer

R = TypeVar("R")


class AsyncClient(Operations, Awaited):
    """A client of the service whose methods are awaited, in asyncio.

        async with AsyncClient("http://127.0.0.1:8080") as client:
            handle = await client.task("resize", {"width": 3})
            print(await handle.result(30))

    What it can do is described at `Operations`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Connect to nothing yet; see `Client`."""
        self._address = Address.of(url, key)
        self._patience = patience or Patience()
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            transport=transport or httpx.AsyncHTTPTransport(uds=self._address.uds)
        )

    async def task(
        self,
        action: str,
        data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **members: Unpack[Members],
    ) -> "AsyncTaskHandle":
        """Publish a task as `publish` does; return what it is waited for and looked at by."""
        published = await self.publish(action, data, idempotency_key=idempotency_key, **members)
        return AsyncTaskHandle(self, published.id, duplicate=published.duplicate)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[R]) -> R:
        came = None
        while True:
            try:
                step = flow.send(came)
            except StopIteration as end:
                result: R = end.value
                return result
            if isinstance(step, Send):
                came = await self._sent(step)
            else:
                came = None
                await self._sleep(step.seconds)

    async def _sent(self, step: Send) -> Answer | NoAnswer:
        try:
            return answer_of(await self._http.request(**self._address.arguments(step)))
        except httpx.RequestError as error:
            return no_answer(self._address, error)


class AsyncTaskHandle(OneTask, Awaited):
    """A task of an `AsyncClient`."""

    def __init__(self, client: AsyncClient, task_id: str, *, duplicate: bool = False) -> None:
        """Store what is needed; nothing is sent."""
        self._client = self._runs = client
        self.id, self.duplicate = task_id, duplicate

    async def _run(self, flow: Flow[R]) -> R:
        return await self._runs._run(flow)  # noqa: SLF001 - a part of the client
