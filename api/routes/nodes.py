"""The operation that shows who works."""

from http import HTTPStatus

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract.documents.nodes import NodeList
from task_queue.api.contract.operation import Answered, Operation
from task_queue.api.nodes import NodesResource
from task_queue.api.responses import problems

OPERATIONS = (
    Operation(
        method="GET",
        path="/nodes",
        operation_id="list_nodes",
        summary="Show who works, and on what",
        description="The nodes, as they have said within the last ten seconds, and the workers that"
        " hold leases. Of what runs, the first 1,000 tasks; those of queues in memory are left out."
        " A node that ended as it should is gone; one that was killed is shown for an hour.",
        tag="Nodes",
        resource=NodesResource,
        scope=Scope.READ,
        answers={HTTPStatus.OK: Answered(description="Who works.", model=NodeList)},
        problems=(problems.INVALID_REQUEST, problems.QUERY_FAILED, problems.DATABASE_UNAVAILABLE),
    ),
)
