"""The operation that shows figures to Prometheus."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract import headers
from task_queue.api.contract.operation import Answered, Operation
from task_queue.api.metrics.resource import MetricsResource
from task_queue.api.responses import problems

METRICS = "get_metrics"
"""Its name; with `metrics.open` it takes no key."""

OPERATIONS = (
    Operation(
        method="GET",
        path="/metrics",
        operation_id=METRICS,
        summary="Show the metrics",
        description="For Prometheus, in its text format, or as OpenMetrics to whoever accepts that."
        " With `metrics.open` it takes no key. Keys that are restricted to queues see what is of"
        " these alone.",
        tag="Health",
        resource=MetricsResource,
        scope=Scope.READ,
        headers=(headers.ACCEPT_OF_METRICS,),
        answers={
            HTTPStatus.OK: Answered(
                description="The metrics.",
                media_types=("text/plain", "application/openmetrics-text"),
            )
        },
        problems=(problems.INVALID_REQUEST,),
    ),
)
