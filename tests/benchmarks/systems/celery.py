"""Celery with Redis."""

from tests.benchmarks.systems.on_redis import PeerOnRedis


class Celery(PeerOnRedis):
    """Two worker processes with late acknowledgement, results in Redis."""

    name = "Celery"
    caveats = (
        "Redis keeps every task and result in memory.",
        "Result and acknowledgement are two writes, in this order.",
        "A task whose worker was killed is given to another after an hour, the default.",
        "Results are deleted after a day, the default; tasks cannot be listed by state.",
    )
    package = "celery"
    worker_processes = 2
    drained = 4_000
