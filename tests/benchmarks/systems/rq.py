"""RQ with Redis."""

from tests.benchmarks.systems.on_redis import PeerOnRedis


class RQ(PeerOnRedis):
    """Two processes with a `SimpleWorker` each, which does not fork for a job."""

    name = "RQ"
    caveats = (
        "Redis keeps every task and result in memory.",
        "Result and acknowledgement are one transaction, as here.",
        "A job whose worker was killed counts as failed; it runs again only if told so.",
        "Finished jobs and their results are deleted after 500 seconds, the default.",
    )
    package = "rq"
    worker_processes = 2
    drained = 2_000
