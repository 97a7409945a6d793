"""A published task, by which it is waited for, looked at and changed."""

from typing import Any

from task_queue.api.client.flow import Flow
from task_queue.api.client.operation import operation
from task_queue.api.client.operations.tasks import TaskOperations
from task_queue.api.client.results.tasks import Changed, Task


class OneTask:
    """What can be done with a task, as by the client's operations of the same names.

    Attributes:
        id: The task's id.
        duplicate: It was there before, with the same unique key.
    """

    _client: TaskOperations
    id: str
    duplicate: bool

    @operation
    def refresh(self) -> Flow[Task]:
        """Return the task as it is now, with its attempts."""
        return TaskOperations.get.flow(self._client, self.id)

    @operation
    def wait(self, seconds: float) -> Flow[Task]:
        """Return the task once it is finished, however it has ended.

        Raises:
            NotFinishedError: It is not finished after so many seconds.
        """
        return TaskOperations.wait.flow(self._client, self.id, seconds)

    @operation
    def result(self, seconds: float) -> Flow[Any]:
        """Return what the task's action returned, once it is completed.

        Raises:
            TaskFailedError: It is dead, or was cancelled.
            NotFinishedError: It is not finished after so many seconds.
        """
        return TaskOperations.result.flow(self._client, self.id, seconds)

    @operation
    def cancel(self) -> Flow[Changed]:
        """Cancel the task if it waits, or ask it to stop if it runs."""
        return TaskOperations.cancel.flow(self._client, self.id)

    @operation
    def retry(self) -> Flow[Changed]:
        """Put the dead or cancelled task back on its queue, with all its attempts."""
        return TaskOperations.retry.flow(self._client, self.id)

    @operation
    def delete(self) -> Flow[None]:
        """Delete the finished task."""
        return TaskOperations.delete.flow(self._client, self.id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"
