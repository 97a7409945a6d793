"""RQ: jobs and results in a Redis."""

from collections.abc import Sequence

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from tests.benchmarks.peers.task import add


def work(url: str) -> None:
    """Run one worker.

    Two of RQ's default workers, which fork for every job, drained 35 jobs/s; `SimpleWorker` does
    not fork and drained 250 to 280.
    """
    redis = Redis.from_url(url)
    SimpleWorker([_queue(redis)], connection=redis).work(logging_level="WARNING")


class Client:
    """Publishes, and blocks in Redis for a result."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._queue = _queue(self._redis)

    def publish(self, numbers: Sequence[int]) -> Job:
        return self._queue.enqueue(add, list(numbers))

    def wait(self, published: Job, seconds: float) -> None:
        if published.latest_result(timeout=int(seconds)) is None:
            raise TimeoutError(f"no result of {published.id}")

    def finished(self) -> int:
        return int(self._queue.finished_job_registry.get_job_count(cleanup=False))

    def close(self) -> None:
        self._redis.close()


def _queue(redis: Redis) -> Queue:
    return Queue("benchmark", connection=redis)
