"""Celery: tasks in one database of a Redis, results in another."""

from collections.abc import Sequence
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult
from redis import Redis

from tests.benchmarks.peers.task import add

_MOST_PUBLISHING_THREADS = 32


def work(url: str) -> None:
    """Run one worker.

    Two processes with the pool `solo` drained 830 to 860 tasks/s, one with a pool of two processes
    800, one with two threads 760. A prefetch of 4 or 50 tasks a worker, not 1, made no difference
    beyond the noise.
    """
    app = _app(url, results=f"{url}/1")
    app.worker_main(
        [
            "worker",
            "--pool=solo",
            f"--hostname={uuid4().hex}@benchmark",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


class Client:
    """Publishes, and looks results up by id.

    With a result backend of its own, the publishing app would subscribe to every result in Redis:
    1,700 published/s instead of 1,900.
    """

    def __init__(self, url: str) -> None:
        self._publishing = _app(url, results="disabled://")
        self._results = _app(url, results=f"{url}/1")
        self._redis = Redis.from_url(f"{url}/1")

    def publish(self, numbers: Sequence[int]) -> AsyncResult:
        return self._results.AsyncResult(self._publishing.tasks["add"].delay(list(numbers)).id)

    def wait(self, published: AsyncResult, seconds: float) -> None:
        published.get(timeout=seconds)

    def has_result(self, task_id: str) -> bool:
        return bool(self._results.AsyncResult(task_id).ready())

    def finished(self) -> int:
        return int(self._redis.dbsize())

    def close(self) -> None:
        self._publishing.close()
        self._results.close()
        self._redis.close()


def _app(url: str, *, results: str) -> Celery:
    app = Celery("benchmark", broker=f"{url}/0", backend=results, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_pool_limit=_MOST_PUBLISHING_THREADS,
    )
    app.task(name="add")(add)
    return app
