"""All operations. The application, its description and its tests are made from this table."""

from task_queue.api.contract.operation import Operation
from task_queue.api.routes import (
    audit,
    bulk,
    dead_letters,
    leases,
    metrics,
    nodes,
    queues,
    schedules,
    service,
    tasks,
)

OPERATIONS: tuple[Operation, ...] = (
    *tasks.OPERATIONS,
    *bulk.OPERATIONS,
    *dead_letters.OPERATIONS,
    *queues.OPERATIONS,
    *leases.OPERATIONS,
    *nodes.OPERATIONS,
    *schedules.OPERATIONS,
    *audit.OPERATIONS,
    *metrics.OPERATIONS,
    *service.OPERATIONS,
)
"""In the order in which they are shown."""
