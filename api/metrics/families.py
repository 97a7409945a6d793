"""The families of metrics: their names, what they mean, and their samples at this moment."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.samples import BucketSpan, NativeHistogram
from prometheus_client.utils import floatToGoString

from task_queue.actors.tasks.meters import (
    SCHEMA,
    ZERO_SECONDS,
    ActionMeter,
    Histogram,
    Meters,
    QueueMeter,
)
from task_queue.actors.tasks.states import Status
from task_queue.api.metrics.look import Looked
from task_queue.api.traffic import Traffic

PREFIX = "task_queue_"
_COMPLETED = Status.COMPLETED.value
"""As an outcome it is called the same."""

Rows = Iterable[tuple[Sequence[str], float]]
"""The values of the labels, and the number."""


def of_queues(
    queues: Sequence[str], meters: Meters, looked: Looked, now: float, *, native: bool
) -> Iterator[Metric]:
    """Yield what is known of these queues.

    Args:
        queues: Their names.
        meters: What was counted.
        looked: What the actors say.
        now: The present moment, Unix seconds.
        native: Whether waits and runs are native histograms.
    """
    yield from _stored(queues, looked, now)
    yield from _counted(queues, meters, native=native)
    yield _gauge(
        "consumers",
        "Consumers of this node, by whether they run a task.",
        ("queue", "state"),
        (
            ((name, state), number)
            for name in queues
            if (each := looked.states.get(name)) is not None
            for state, number in (("busy", each.running), ("idle", each.idle))
        ),
    )
    yield _gauge(
        "prefetched_tasks",
        "Tasks that this node has claimed ahead and not started.",
        ("queue",),
        (((name,), looked.states[name].prefetched) for name in queues if name in looked.states),
    )


def of_process(meters: Meters, traffic: Traffic, looked: Looked) -> Iterator[Metric]:
    """Yield what is known of the process and of the database as a whole."""
    yield _gauge(
        "database_up",
        "Whether the last commit of this node went through and the database could be read.",
        (),
        [((), looked.is_up)],
    )
    yield _measured(
        "database_size_bytes",
        "Size of the database, of SQLite with its write-ahead log.",
        looked.database_bytes,
    )
    yield _measured(
        "disk_free_bytes", "Room left on the disk of the SQLite file.", looked.free_bytes
    )
    writer = meters.writer
    yield _histogram("commit_duration_seconds", "Time of commits.", (), [((), writer.seconds)])
    yield _histogram("commit_writes", "Writes in a commit.", (), [((), writer.writes)])
    yield _counter(
        "commit_failures", "Commits that did not go through.", (), [((), writer.failures)]
    )
    if looked.children is not None:
        up = sum(looked.children.values())
        states = (("up", up), ("down", len(looked.children) - up))
        rows = [((state,), number) for state, number in states]
        yield _gauge("actors", "Actors, by whether they run.", ("state",), rows)
    yield _counter(
        "actor_restarts",
        "Actors that were started again, as they or what they depend on died.",
        ("actor",),
        (((kind,), number) for kind, number in list(meters.restarts.items())),
    )
    yield _measured(
        "stuck_threads", "Threads that hang in actions beyond their deadline.", looked.stuck
    )
    yield from _requests(traffic)


def build(version: str, database: str, *, draining: bool) -> Iterator[Metric]:
    """Yield what the process is."""
    text = "What runs: its version, and the kind of its database."
    yield InfoMetricFamily(f"{PREFIX}build", text, {"version": version, "database": database})
    text = "Whether this node is about to end, and starts no further task."
    yield _gauge("draining", text, (), [((), draining)])


def _stored(queues: Sequence[str], looked: Looked, now: float) -> Iterator[Metric]:
    counts = {} if looked.counts is None else {name: looked.counts.get(name, {}) for name in queues}
    yield _gauge(
        "tasks",
        "Tasks in the database, by state. All nodes of a database show the same.",
        ("queue", "state"),
        (
            ((name, state), number)
            for name, numbers in counts.items()
            for state, number in _by_shown_state(numbers).items()
        ),
    )
    yield _gauge(
        "oldest_ready_age_seconds",
        "How long the longest-ready task has been waiting; 0: none is ready.",
        ("queue",),
        (
            ((name,), 0.0 if since is None else max(0.0, now - since))
            for name, since in looked.oldest.items()
            if name in queues
        ),
    )
    yield _gauge(
        "queue_paused",
        "Whether the queue is paused.",
        ("queue",),
        () if looked.paused is None else (((name,), name in looked.paused) for name in queues),
    )


def _counted(queues: Sequence[str], meters: Meters, *, native: bool) -> Iterator[Metric]:
    found = [
        (name, meter)
        for name in queues
        for meter in (meters.queues.get(name), meters.leases.get(name))
        if meter is not None
    ]
    actions = _together(found)
    published = {
        key: number for key, number in list(meters.writer.published.items()) if key[0] in queues
    }
    for key, of_it in actions.items():
        if accepted := sum(each.published for each in of_it):
            published[key] = published.get(key, 0) + accepted
    labels = ("queue", "action")
    yield _counter("tasks_published", "Tasks that were published.", labels, published.items())
    yield _counter(
        "attempts_started",
        "Attempts that were started, by consumers or by workers over HTTP.",
        labels,
        ((key, sum(each.waits.count for each in of_it)) for key, of_it in actions.items()),
    )
    yield _counter(
        "attempts_finished",
        "Attempts that ended, by how they did.",
        (*labels, "outcome"),
        _summed(actions, lambda meter: meter.outcomes),
    )
    yield _counter(
        "tasks_finished",
        "Tasks that were final after an attempt, by their state.",
        (*labels, "state"),
        _summed(actions, lambda meter: meter.ended),
    )
    yield _counter(
        "tasks_retried",
        "Attempts that failed and will be followed by another one.",
        labels,
        ((key, sum(each.retried for each in of_it)) for key, of_it in actions.items()),
    )
    yield _histogram(
        "task_wait_duration_seconds",
        "Time from when a task could run until an attempt was started.",
        labels,
        ((key, each) for key, of_it in actions.items() if (each := _sum_of(of_it, "waits"))),
        native=native,
    )
    yield _histogram(
        "task_run_duration_seconds",
        "Time that attempts took.",
        labels,
        ((key, each) for key, of_it in actions.items() if (each := _sum_of(of_it, "runs"))),
        native=native,
    )
    for name, text, number_of in (
        ("leases_lost", "Leases that lapsed: what held them died.", attrgetter("lost")),
        (
            "results_refused",
            "Results that came when the lease was not held any more.",
            attrgetter("refused"),
        ),
    ):
        sums = dict.fromkeys(queues, 0)
        for queue, meter in found:
            sums[queue] += number_of(meter)
        yield _counter(name, text, ("queue",), (((queue,), each) for queue, each in sums.items()))


def _requests(traffic: Traffic) -> Iterator[Metric]:
    yield _counter(
        "http_requests",
        "Requests that were answered.",
        ("operation", "status"),
        (
            ((operation, str(status)), number)
            for (operation, status), number in list(traffic.answered.items())
        ),
    )
    yield _histogram(
        "http_request_duration_seconds",
        "Time of requests, with what they asked to wait.",
        ("operation",),
        (((operation,), each) for operation, each in list(traffic.seconds.items())),
    )
    pool = traffic.pool()
    busy = min(pool.busy, pool.threads)
    yield _gauge(
        "http_threads",
        "Threads that answer requests, by whether they do.",
        ("state",),
        [(("busy",), busy), (("idle",), pool.threads - busy)],
    )
    yield _gauge(
        "http_queued_requests", "Requests that wait for a thread.", (), [((), pool.queued)]
    )
    yield _gauge(
        "http_connections",
        "Open connections, by whether their answer waits for work or for a task's end.",
        ("state",),
        [(("active",), pool.connections), (("waiting",), pool.waiting)],
    )


def _by_shown_state(numbers: Mapping[Status, int]) -> dict[str, int]:
    shown = {status.shown: 0 for status in Status}
    for status, number in numbers.items():
        shown[status.shown] += number
    return shown


def _together(
    found: Iterable[tuple[str, QueueMeter]],
) -> dict[tuple[str, str], list[ActionMeter]]:
    """Return what was counted of each action of a queue: by its consumers, and by workers."""
    actions: dict[tuple[str, str], list[ActionMeter]] = {}
    for queue, meter in found:
        for action, each in list(meter.actions.items()):
            actions.setdefault((queue, action), []).append(each)
    return actions


def _summed(
    actions: Mapping[tuple[str, str], list[ActionMeter]],
    of: Callable[[ActionMeter], Mapping[str, int]],
) -> Rows:
    for (queue, action), meters in actions.items():
        sums: dict[str, int] = {}
        for meter in meters:
            if meter.completed:
                sums[_COMPLETED] = sums.get(_COMPLETED, 0) + meter.completed
            for name, number in list(of(meter).items()):
                sums[name] = sums.get(name, 0) + number
        for name, number in sums.items():
            yield (queue, action, name), number


def _sum_of(meters: Sequence[ActionMeter], name: str) -> Histogram | None:
    """Return one histogram of several; None if nothing was counted."""
    histograms: list[Histogram] = [getattr(each, name) for each in meters]
    first, *others = histograms
    total = Histogram(first.bounds, native=first.fine is not None)
    for each in (first, *others):
        total.add(each)
    return total if total.count else None


def _gauge(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _measured(name: str, text: str, number: float | None) -> Metric:
    return _gauge(name, text, (), [] if number is None else [((), number)])


def _counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _histogram(
    name: str,
    text: str,
    labels: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Histogram]],
    *,
    native: bool = False,
) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}{name}", text, labels=labels)
    bounds: list[str] = []
    for values, histogram in rows:
        if native and histogram.fine is not None:
            named = dict(zip(labels, values, strict=True))
            family.add_sample(
                family.name, named, 0.0, native_histogram=_native(histogram, histogram.fine)
            )
            continue
        bounds = bounds or [*map(floatToGoString, histogram.bounds), "+Inf"]
        counts = accumulate(histogram.counts)
        family.add_metric(values, list(zip(bounds, counts, strict=True)), histogram.total)
    return family


def _native(histogram: Histogram, fine: Mapping[int, int]) -> NativeHistogram:
    spans: list[BucketSpan] = []
    deltas: list[int] = []
    last_index, last_number = None, 0
    for index in sorted(fine):
        if last_index is not None and index == last_index + 1:
            spans[-1] = BucketSpan(spans[-1].offset, spans[-1].length + 1)
        else:
            offset = index if last_index is None else index - last_index - 1
            spans.append(BucketSpan(offset, 1))
        deltas.append(fine[index] - last_number)
        last_index, last_number = index, fine[index]
    count = histogram.count
    zero = max(0, count - sum(fine.values()))
    return NativeHistogram(
        count, histogram.total, SCHEMA, ZERO_SECONDS, zero, spans, None, deltas, None
    )
