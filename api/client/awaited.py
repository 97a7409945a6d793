"""The client that is awaited, and its tasks."""

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from task_queue.api.client.address import address_of
from task_queue.api.client.flow import Flow, Patience, Send
from task_queue.api.client.members import Members
from task_queue.api.client.one_task import OneTask
from task_queue.api.client.operation import Awaited
from task_queue.api.client.operations.every import Operations

if TYPE_CHECKING:
    import httpx

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
        transport: "httpx.AsyncBaseTransport | None" = None,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: As of `Client`, as are `key`, `patience` and `transport`.
            key: See there.
            patience: See there.
            transport: See there.
            sleep: Waits for so many seconds; None: that of asyncio.

        Raises:
            AddressError: The URL cannot be used.
        """
        from task_queue.api.client import transport as ways  # noqa: PLC0415 - see there

        self._patience = patience or Patience()
        self._sleep = sleep or ways.sleep_in_loop
        self._transport = ways.AwaitedTransport(address_of(url, key), transport)

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
        await self._transport.close()

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
                came = await self._transport.send(step)
            else:
                came = None
                await self._sleep(step.seconds)


class AsyncTaskHandle(OneTask, Awaited):
    """A task of an `AsyncClient`."""

    def __init__(self, client: AsyncClient, task_id: str, *, duplicate: bool = False) -> None:
        """Store what is needed; nothing is sent."""
        self._client = self._runs = client
        self.id, self.duplicate = task_id, duplicate

    async def _run(self, flow: Flow[R]) -> R:
        return await self._runs._run(flow)  # noqa: SLF001 - a part of the client
