"""What the peers on Redis have in common."""

from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmarks.peer import Peer
from tests.benchmarks.services import missing_redis, redis_server


class PeerOnRedis(Peer):
    """A peer that keeps all it has in a Redis of its own, which is synced at every write."""

    stands_on = "Redis, fsync at every write"

    def missing_server(self) -> str | None:
        """Whether Redis is installed."""
        return missing_redis()

    def store(self, directory: Path) -> AbstractContextManager[str]:
        """The URL of a Redis that is started for it."""
        return redis_server(directory)
