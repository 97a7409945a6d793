"""All operations together."""

from task_queue.api.client.operations.dead_letters import DeadLetterOperations
from task_queue.api.client.operations.leases import LeaseOperations
from task_queue.api.client.operations.queues import QueueOperations
from task_queue.api.client.operations.schedules import ScheduleOperations
from task_queue.api.client.operations.service import ServiceOperations
from task_queue.api.client.operations.tasks import TaskOperations


class Operations(
    TaskOperations,
    DeadLetterOperations,
    QueueOperations,
    ScheduleOperations,
    LeaseOperations,
    ServiceOperations,
):
    """What both clients can do. On an `AsyncClient` everything is awaited.

    Requests are repeated as the parameters of the client say, if they only look, or do the same
    twice as once: see each. All others are repeated only while nothing can have happened; if it is
    not known whether it has, they raise `OutcomeUnknownError`.

    Everything may raise `RefusedError` (and its kinds `NotFoundError`, `NotAllowedError`,
    `ConflictError`) and `UnavailableError`.
    """
