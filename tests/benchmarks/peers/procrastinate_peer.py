"""Procrastinate: jobs and their states in PostgreSQL."""

import logging
import time
from collections.abc import Sequence

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.jobs import Status

from tests.benchmarks.peers.task import add
from tests.benchmarks.system import WORKERS

_FINISHED = "SELECT count(*) AS jobs FROM procrastinate_jobs WHERE status = 'succeeded'"


def work(url: str) -> None:
    """Run two workers.

    One process with two jobs at a time and two processes with one drained the same within the
    noise, 750 to 770 jobs/s, but the one was done with a job after 3 ms, not 5. It is told of new
    jobs; now and then that is missed, and a job waits for the next look, by default every 5 s.
    """
    logging.basicConfig(level=logging.WARNING)
    app = _app(PsycopgConnector(conninfo=url))
    app.run_worker(concurrency=WORKERS, fetch_job_polling_interval=0.05)


class Client:
    """Publishes, and looks at a job until it has succeeded: there is no way to wait for it."""

    def __init__(self, url: str) -> None:
        self._connector = SyncPsycopgConnector(conninfo=url)
        self._app = _app(self._connector).open()
        self._app.schema_manager.apply_schema()

    def publish(self, numbers: Sequence[int]) -> int:
        return int(self._app.tasks["add"].defer(numbers=list(numbers)))

    def wait(self, published: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._app.job_manager.get_job_status(published) is not Status.SUCCEEDED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {published} has not succeeded")
            time.sleep(0.0002)

    def finished(self) -> int:
        return int(self._connector.execute_query_one(_FINISHED)["jobs"])

    def close(self) -> None:
        self._app.close()


async def _add(numbers: Sequence[int]) -> int:
    return add(numbers)


def _app(connector: BaseConnector) -> App:
    app = App(connector=connector)
    app.task(name="add")(_add)
    return app
