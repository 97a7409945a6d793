"""The scopes: the words for what a key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """What a key may do."""

    PUBLISH = "publish"
    """Publish tasks."""
    READ = "read"
    """See tasks, queues, schedules and actions."""
    WORK = "work"
    """Lease tasks, and say what became of them."""
    OPERATE = "operate"
    """Cancel, retry, delete, redrive, pause, resume, purge, and change schedules."""
    ADMIN = "admin"
    """See who has done what."""
