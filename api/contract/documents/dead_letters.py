"""What is answered about dead tasks."""

from typing import Annotated

from pydantic import Field

from task_queue.api.contract.documents.document import Count, Document


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
