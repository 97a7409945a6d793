"""Dramatiq with Redis."""

from tests.benchmarks.systems.on_redis import PeerOnRedis


class Dramatiq(PeerOnRedis):
    """One process with two worker threads, results in Redis."""

    name = "Dramatiq"
    caveats = (
        "Redis keeps every task and result in memory.",
        "Result and acknowledgement are two writes, in this order.",
        "Workers look at an empty queue every millisecond; the default is up to a second.",
        "Results are deleted after ten minutes, the default; finished tasks cannot be listed.",
    )
    package = "dramatiq"
    worker_processes = 1
    drained = 6_000
