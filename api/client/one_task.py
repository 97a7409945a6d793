"""A published task, by which it is waited for, looked at and changed."""

from typing import Any

from task_queue.api.client.flow import Flow
from task_queue.api.client.operation import operation
from task_queue.api.client.operations import Operations
from task_queue.api.client.results import Changed, Task


class OneTask:
    """What can be done with a task, as by the client's operations of the same names.

    Attributes:
        id: The task's id.
        duplicate: It was there before, with the same unique key.
    """

    _client: Operations
    id: str
    duplicate: bool

    @operation
    def refresh(self) -> Flow[Task]:
        """Return the task as it is now, with its attempts."""
        return Operations.get.flow(self._client, self.id)

    @operation
    def wait(self, seconds: float) -> Flow[Task]:
        """Return the task once it is finished, however it has ended.

        Raises:
            NotFinishedError: It is not finished after so many seconds.
        """
        return Operations.wait.flow(self._client, self.id, seconds)

    @operation
    def result(self, seconds: float) -> Flow[Any]:
        """Return what the task's action returned, once it is completed.

        Raises:
            TaskFailedError: It is dead, or was cancelled.
            NotFinishedError: It is not finished after so many seconds.
        """
        return Operations.result.flow(self._client, self.id, seconds)

    @operation
    def cancel(self) -> Flow[Changed]:
        """Cancel the task if it waits, or ask it to stop if it runs."""
        return Operations.cancel.flow(self._client, self.id)

    @operation
    def retry(self) -> Flow[Changed]:
        """Put the dead or cancelled task back on its queue, with all its attempts."""
        return Operations.retry.flow(self._client, self.id)

    @operation
    def delete(self) -> Flow[None]:
        """Delete the finished task."""
        return Operations.delete.flow(self._client, self.id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"
