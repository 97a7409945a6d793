"""An entry of the audit log, and which ones are looked for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was asked for.

    Attributes:
        at: When, Unix seconds.
        who: The name of the key, with its id if it has one.
        what: The operation.
        target: What it was asked of: the path, or a name.
        source: From where: the address of the client.
        status: The HTTP status it was answered with; None: not known.
        seq: Its number in the log; 0: it is not stored yet.
    """

    at: float
    who: str
    what: str
    target: str
    source: str
    status: int | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which entries are looked for; those that are None do not count.

    Attributes:
        who: Only entries of this one; by the name of a key alone, too.
        what: Only entries of this operation.
    """

    who: str | None = None
    what: str | None = None
