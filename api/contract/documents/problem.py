"""The document of an error."""

from task_queue.api.contract.documents.document import Document


class ProblemDocument(Document):
    """An error, as RFC 9457 has it.

    Attributes:
        error: A short text by which programs can tell errors apart, or the whole sentence.
        type: The URI reference of the problem's description at `/docs`.
        title: What kind of problem it is.
        status: The HTTP status.
        detail: A sentence about this occurrence; it names the member, its value and what is
            allowed.
    """

    error: str
    type: str
    title: str
    status: int
    detail: str
