"""The client of the service's HTTP interface: publish tasks, wait for them, and all the rest."""

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
    UnexpectedAnswerError,
)
from task_queue.api.client.flow import Patience
from task_queue.api.client.function import AsyncTaskFunction, TaskFunction, task
from task_queue.api.client.members import Filters, Members, NewTask
from task_queue.api.client.results.dead_letters import DeadGroup, Redriven
from task_queue.api.client.results.leases import Lease, LeasedTask, Settled
from task_queue.api.client.results.queues import Figures, Purged, Queue
from task_queue.api.client.results.schedules import Schedule
from task_queue.api.client.results.service import (
    Action,
    AuditEntry,
    Node,
    Readiness,
    Run,
    Worker,
    Workforce,
)
from task_queue.api.client.results.tasks import (
    Attempt,
    Changed,
    ChangedMany,
    Progress,
    Published,
    PublishedBatch,
    Task,
)

__all__ = [
    "Action",
    "AddressError",
    "AsyncClient",
    "AsyncTaskFunction",
    "AsyncTaskHandle",
    "Attempt",
    "AuditEntry",
    "Changed",
    "ChangedMany",
    "Client",
    "ClientError",
    "ConflictError",
    "DeadGroup",
    "Figures",
    "Filters",
    "Lease",
    "LeasedTask",
    "Members",
    "NewTask",
    "Node",
    "NotAllowedError",
    "NotFinishedError",
    "NotFoundError",
    "OutcomeUnknownError",
    "Patience",
    "Progress",
    "Published",
    "PublishedBatch",
    "Purged",
    "Queue",
    "Readiness",
    "Redriven",
    "RefusedError",
    "Run",
    "Schedule",
    "Settled",
    "Task",
    "TaskFailedError",
    "TaskFunction",
    "TaskHandle",
    "UnavailableError",
    "UnexpectedAnswerError",
    "Worker",
    "Workforce",
    "task",
]
