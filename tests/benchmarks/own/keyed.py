"""Publishes with a key and without one, in turn on one server: what a key costs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import measures
from tests.benchmarks.own.publishing import CONNECTIONS, PUBLISH, answered
from tests.benchmarks.own.server import serving
from tests.benchmarks.own.variants import NAME, seconds
from tests.benchmarks.processes import python
from tests.benchmarks.system import Sample, Size

_TURNS = 8
_TURN_SECONDS = 2.0


def measure(directory: Path, size: Size) -> Iterator[Sample]:
    """Publish in short turns; on loopback no key is needed, and one that is sent is judged."""
    turn = seconds(size, _TURN_SECONDS)
    with serving(directory) as server:
        made = subprocess.run(
            python("task_queue", "keys", "create", "bench", "--scope", "publish"),
            cwd=directory,
            stdout=subprocess.PIPE,
            check=True,
        )
        header = b"\r\nAuthorization: Bearer " + made.stdout.strip() + b"\r\n\r\n"
        requests = {False: PUBLISH, True: PUBLISH.replace(b"\r\n\r\n", header, 1)}
        counts, times = {False: 0, True: 0}, {False: 0.0, True: 0.0}
        for number in range(_TURNS):
            for keyed in (False, True) if number % 2 else (True, False):  # neither always first
                load = answered(server, requests[keyed], CONNECTIONS, turn)
                counts[keyed] += len(load.latencies_seconds)
                times[keyed] += load.seconds
    without, with_one = (counts[keyed] / times[keyed] for keyed in (False, True))
    yield Sample(NAME, measures.WITHOUT_KEY.key, without)
    yield Sample(NAME, measures.WITH_KEY.key, with_one)
    yield Sample(NAME, measures.KEY_RATIO.key, with_one / without)
