"""Dramatiq: messages in one database of a Redis, results in another."""

import logging
import signal
from collections.abc import Sequence

from dramatiq import Actor, Message, Worker, actor
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend

from tests.benchmarks.peers.task import add
from tests.benchmarks.system import WORKERS


def work(url: str) -> None:
    """Run two workers.

    Two threads of one process drained 2,150 to 2,600 messages/s, two processes of one thread 1,800;
    with 4 messages fetched ahead, the default, 1,850. The pause between looks at an empty queue is
    up to `worker_timeout` milliseconds: at its default of 1,000 a result took 8 ms, not 1.8, and
    the drain was 500/s. At 1 the pause is rounded down to none: 1.1 ms, but it spins.
    """
    logging.basicConfig(level=logging.WARNING)
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    worker = Worker(_actor(url).broker, worker_threads=WORKERS, worker_timeout=2)
    worker.queue_prefetch = 200
    worker.start()
    signal.sigwait(signals)
    worker.stop()


class Client:
    """Publishes, and blocks in Redis for a result."""

    def __init__(self, url: str) -> None:
        self._actor = _actor(url)
        self._backend = RedisBackend(url=f"{url}/1")

    def publish(self, numbers: Sequence[int]) -> Message:
        return self._actor.send(list(numbers))

    def wait(self, published: Message, seconds: float) -> None:
        published.get_result(backend=self._backend, block=True, timeout=int(1_000 * seconds))

    def finished(self) -> int:
        return int(self._backend.client.dbsize())

    def close(self) -> None:
        self._actor.broker.client.close()
        self._backend.client.close()


def _actor(url: str) -> Actor:
    broker = RedisBroker(url=f"{url}/0")
    broker.add_middleware(Results(backend=RedisBackend(url=f"{url}/1"), store_results=True))
    return actor(add, broker=broker)
