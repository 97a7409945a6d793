"""What is answered about the audit log."""

from task_queue.api.contract.documents.document import Count, Document


class AuditDocument(Document):
    """Something that was asked for.

    Attributes:
        at: When, Unix seconds.
        who: The key's name, with its id if it is one of the database; `anonymous` where none is
            needed; `command line` with the user.
        what: The operation.
        target: The path, or the name of a key.
        source: The address of the client, or the name of the machine.
        status: How it was answered; null: that is not known.
    """

    at: float
    who: str
    what: str
    target: str
    source: str
    status: int | None


class AuditPage(Document):
    """A page of the audit log.

    Attributes:
        entries: The newest first.
        count: How many there are on this page.
        next_cursor: Where the next page begins; null: this is the last.
    """

    entries: list[AuditDocument]
    count: Count
    next_cursor: str | None
