"""What is answered about dead tasks."""

from typing import Annotated

from pydantic import Field

from task_queue.api.contract.documents.document import Count, Document


class DeadGroupDocument(Document):
    """The dead tasks of a queue and an action that have the same error.

    Attributes:
        queue: Their queue.
        action: Their action.
        error_group: Their error without ids and numbers.
        count: How many there are.
        first_at: When the first of them died, Unix seconds, or of those that were among them;
            null: that is not known.
        last_at: When the last of them did.
    """

    queue: str
    action: str
    error_group: str
    count: Annotated[int, Field(ge=1)]
    first_at: int | None
    last_at: int | None


class DeadGroups(Document):
    """Groups of dead tasks with the same error, the greatest first.

    Attributes:
        groups: The groups.
        count: How many groups are shown.
    """

    groups: list[DeadGroupDocument]
    count: Count


class Redriven(Document):
    """How many dead tasks were put back, and how many that match were not.

    Attributes:
        count: How many were put back; of a preview, how many would be.
        quarantined: How many may take the service down again.
        unknown: How many have an action or a queue that there is not.
        unchanged: How many are not dead any more, or lost their unique key.
        detail: Why those were not put back.
    """

    count: Count
    quarantined: Annotated[int, Field(ge=1)] = 1
    unknown: Annotated[int, Field(ge=1)] = 1
    unchanged: Annotated[int, Field(ge=1)] = 1
    detail: str = ""
