"""The client that blocks, and its tasks."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from task_queue.api.client.address import address_of
from task_queue.api.client.flow import Flow, Patience, Send
from task_queue.api.client.members import Members
from task_queue.api.client.one_task import OneTask
from task_queue.api.client.operation import Blocking
from task_queue.api.client.operations.every import Operations

if TYPE_CHECKING:
    import httpx

R = TypeVar("R")


class Client(Operations, Blocking):
    """A client of the service whose methods block; threads may share it.

        with Client("http://127.0.0.1:8080") as client:
            print(client.task("resize", {"width": 3}).result(30))

    What it can do is described at `Operations`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience: Patience | None = None,
        transport: "httpx.BaseTransport | None" = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: Where the server is, below a path if a proxy has it there, or
                `unix:/run/task-queue.sock`; None: `TASK_QUEUE_URL`, else `http://127.0.0.1:8080`.
            key: Sent as `Authorization: Bearer`; None: `TASK_QUEUE_KEY`, if it is set.
            patience: How long requests are repeated; None: for 30 seconds.
            transport: How requests are sent, as of httpx; None: over the network.
            sleep: Waits for so many seconds.

        Raises:
            AddressError: The URL cannot be used.
        """
        from task_queue.api.client.transport import BlockingTransport  # noqa: PLC0415 - see there

        self._patience = patience or Patience()
        self._sleep = sleep
        self._transport = BlockingTransport(address_of(url, key), transport)

    def task(
        self,
        action: str,
        data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **members: Unpack[Members],
    ) -> "TaskHandle":
        """Publish a task as `publish` does; return what it is waited for and looked at by."""
        published = self.publish(action, data, idempotency_key=idempotency_key, **members)
        return TaskHandle(self, published.id, duplicate=published.duplicate)

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, flow: Flow[R]) -> R:
        came = None
        while True:
            try:
                step = flow.send(came)
            except StopIteration as end:
                result: R = end.value
                return result
            if isinstance(step, Send):
                came = self._transport.send(step)
            else:
                came = None
                self._sleep(step.seconds)


class TaskHandle(OneTask, Blocking):
    """A task of a `Client`."""

    def __init__(self, client: Client, task_id: str, *, duplicate: bool = False) -> None:
        """Store what is needed; nothing is sent."""
        self._client = self._runs = client
        self.id, self.duplicate = task_id, duplicate

    def _run(self, flow: Flow[R]) -> R:
        return self._runs._run(flow)  # noqa: SLF001 - a part of the client
