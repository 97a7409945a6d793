"""The client of the service's HTTP interface, for Python: `Client` and `AsyncClient`."""

from task_queue.api.client.awaited import AsyncClient, AsyncTaskHandle
from task_queue.api.client.blocking import Client, TaskHandle
from task_queue.api.client.errors import (
    AddressError,
    ClientError,
    ConflictError,
    NotAllowedError,
    NotFinishedError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    TaskFailedError,
    UnavailableError,
)
from task_queue.api.client.flow import Patience
from task_queue.api.client.function import TaskFunction, task
from task_queue.api.client.members import NewTask
from task_queue.api.client.results import Task

__all__ = [
    "AddressError",
    "AsyncClient",
    "AsyncTaskHandle",
    "Client",
    "ClientError",
    "ConflictError",
    "NewTask",
    "NotAllowedError",
    "NotFinishedError",
    "NotFoundError",
    "OutcomeUnknownError",
    "Patience",
    "RefusedError",
    "Task",
    "TaskFailedError",
    "TaskFunction",
    "TaskHandle",
    "UnavailableError",
    "task",
]
