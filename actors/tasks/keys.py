"""A key of the database, as it is stored: what it may do, and until when."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key without its secret, of which only the hash is kept.

    Attributes:
        id: The public part of the key.
        name: What it is called.
        hash: SHA-256 of the whole key, in hexadecimal digits.
        scopes: The words for what it may do.
        queues: The queues that it is restricted to; None: it sees all of them.
        created_at: When it was made, Unix seconds.
        expires_at: From when on it does not hold any more, Unix seconds; None: it has no end.
        revoked_at: When it was revoked, Unix seconds; None: it was not.
    """

    id: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    queues: tuple[str, ...] | None
    created_at: int
    expires_at: float | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> str:
        """Return `valid`, `expired` or `revoked`.

        Args:
            now: The present moment, Unix seconds.
        """
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid"
