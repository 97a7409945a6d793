"""Every measure, with what its figure includes."""

from tests.benchmarks.system import Measure, Unit

PUBLISH = Measure(
    "publish",
    "publish, own client",
    Unit.PER_SECOND,
    "tasks published one after the other by one thread of one process with the system's own client;"
    " no workers run",
    more_is_better=True,
)
DRAIN = Measure(
    "drain",
    "drain",
    Unit.PER_SECOND,
    "tasks finished per second by two workers out of a full queue, from the first result that is"
    " seen to the last; the start of the workers is not in it",
    more_is_better=True,
)
LATENCY_P50 = Measure(
    "latency_p50",
    "publish → result, p50",
    Unit.SECONDS,
    "from before the publish until the result is seen, one task at a time, workers idle",
    more_is_better=False,
)
LATENCY_P99 = Measure(
    "latency_p99", "publish → result, p99", Unit.SECONDS, LATENCY_P50.includes, more_is_better=False
)
LATENCY_FLOOR = Measure(
    "latency_floor",
    "publish → result, floor",
    Unit.SECONDS,
    "two commits of a database with one small table (SQLite, synchronous=FULL) and two requests to"
    " the empty handler, each the median alone: what nothing that keeps the promises over this HTTP"
    " server on this disk can be faster than",
    more_is_better=False,
)
HTTP_LATENCY_P50 = Measure(
    "http_latency_p50",
    "publish → result over HTTP, p50",
    Unit.SECONDS,
    "as with the own client, by `POST /tasks` and `GET /tasks/{id}`, asked again every 0.2 ms",
    more_is_better=False,
)
HTTP_LATENCY_P99 = Measure(
    "http_latency_p99",
    "publish → result over HTTP, p99",
    Unit.SECONDS,
    HTTP_LATENCY_P50.includes,
    more_is_better=False,
)
HTTP_PUBLISH = Measure(
    "http_publish",
    "publish over HTTP, 32 connections",
    Unit.PER_SECOND,
    "`POST /tasks` answered 202 per second, with the workers working on what arrives",
    more_is_better=True,
)
HTTP_PUBLISH_P50 = Measure(
    "http_publish_p50",
    "p50, 32 connections",
    Unit.SECONDS,
    "from sending the request to its answer, at 32 connections",
    more_is_better=False,
)
HTTP_PUBLISH_P99 = Measure(
    "http_publish_p99",
    "p99, 32 connections",
    Unit.SECONDS,
    HTTP_PUBLISH_P50.includes,
    more_is_better=False,
)
HTTP_PUBLISH_ONE = Measure(
    "http_publish_one",
    "publish over HTTP, 1 connection",
    Unit.PER_SECOND,
    "as with 32 connections, with one: each publish waits for the answer to the one before",
    more_is_better=True,
)
HTTP_PUBLISH_ONE_P50 = Measure(
    "http_publish_one_p50",
    "p50, 1 connection",
    Unit.SECONDS,
    "from sending the request to its answer, at 1 connection",
    more_is_better=False,
)
HTTP_PUBLISH_ONE_P99 = Measure(
    "http_publish_one_p99",
    "p99, 1 connection",
    Unit.SECONDS,
    HTTP_PUBLISH_ONE_P50.includes,
    more_is_better=False,
)
HTTP_FINISHED = Measure(
    "http_finished",
    "finished meanwhile",
    Unit.PER_SECOND,
    "tasks that the workers finished per second while 32 connections published",
    more_is_better=True,
)
HTTP_PUBLISH_CPU = Measure(
    "http_publish_cpu",
    "CPU per publish",
    Unit.MICROSECONDS,
    "user and system time of the whole process while 32 connections published, over the tasks"
    " published; the work on what arrived is in it",
    more_is_better=False,
)
EMPTY_GET = Measure(
    "empty_get",
    "`GET /healthz`, 32 connections",
    Unit.PER_SECOND,
    "answers per second of the handler that does nothing, in the same process, while no task runs",
    more_is_better=True,
)
EMPTY_POST = Measure(
    "empty_post",
    "`POST /tasks`, empty handler, 32 connections",
    Unit.PER_SECOND,
    "the same bytes sent to the same HTTP server with a handler that reads the body and answers"
    " 202, and nothing behind it",
    more_is_better=True,
)
PUBLISH_TO_GET = Measure(
    "publish_to_get",
    "publish ÷ `GET /healthz`",
    Unit.RATIO,
    "both at 32 connections, in turn, twice in each round",
    more_is_better=True,
)
PUBLISH_TO_POST = Measure(
    "publish_to_post",
    "publish ÷ empty handler of the same POST",
    Unit.RATIO,
    PUBLISH_TO_GET.includes,
    more_is_better=True,
)
DRAIN_CPU = Measure(
    "drain_cpu",
    "CPU per task drained",
    Unit.MICROSECONDS,
    "user and system time of the whole process from the first result to the last, over the tasks"
    " finished between them",
    more_is_better=False,
)
STORE_PUBLISH = Measure(
    "store_publish",
    "batch publish through the Store",
    Unit.PER_SECOND,
    "rows inserted per second by one thread, 500 to a commit, with the fsync of each commit; no"
    " server runs",
    more_is_better=True,
)
MEMORY_IDLE = Measure(
    "memory_idle",
    "memory, idle",
    Unit.MIB,
    "resident memory of the process, 10 s after it began to listen on an empty database",
    more_is_better=False,
)
MEMORY_FULL = Measure(
    "memory_full",
    "memory, a million tasks queued",
    Unit.MIB,
    "the most resident memory seen in the 5 s after the start, while it drains them",
    more_is_better=False,
)
READY_EMPTY = Measure(
    "ready_empty",
    "time to ready, empty",
    Unit.SECONDS,
    "from the start of the process to the first 200 of `GET /readyz`, the start of Python included",
    more_is_better=False,
)
READY_FULL = Measure(
    "ready_full",
    "time to ready, a million tasks queued",
    Unit.SECONDS,
    READY_EMPTY.includes,
    more_is_better=False,
)
IDLE_CPU = Measure(
    "idle_cpu",
    "CPU, idle",
    Unit.PERCENT,
    "user and system time of the process over 10 s without a request or a task, of one core",
    more_is_better=False,
)
WITH_KEY = Measure(
    "with_key",
    "publish with a key, 32 connections",
    Unit.PER_SECOND,
    "publishes per second with a key of the database; in turn with none, eight times each in a"
    " round, on one server",
    more_is_better=True,
)
WITHOUT_KEY = Measure(
    "without_key",
    "publish without a key, 32 connections",
    Unit.PER_SECOND,
    WITH_KEY.includes,
    more_is_better=True,
)
KEY_RATIO = Measure(
    "key_ratio",
    "publish, with a key ÷ without, 32 connections",
    Unit.RATIO,
    WITH_KEY.includes,
    more_is_better=True,
)
WAITING_P99 = Measure(
    "waiting_p99",
    "p99 with 900 requests waiting, 32 connections",
    Unit.SECONDS,
    "a publish, from sending the request to its answer, while 900 other requests wait for the end"
    " of their tasks (`Prefer: wait=60`) on a queue that is paused; in turn with none that waits,"
    " six times each in a round, on one server",
    more_is_better=False,
)
WITHOUT_WAITING_P99 = Measure(
    "without_waiting_p99",
    "p99 with none waiting, 32 connections",
    Unit.SECONDS,
    WAITING_P99.includes,
    more_is_better=False,
)
WAITING_RATIO = Measure(
    "waiting_ratio",
    "publish, p99, 900 waiting ÷ none, 32 connections",
    Unit.RATIO,
    WAITING_P99.includes,
    more_is_better=False,
)
WAITING_ONE_P99 = Measure(
    "waiting_one_p99",
    "p99 with 900 requests waiting, 1 connection",
    Unit.SECONDS,
    WAITING_P99.includes,
    more_is_better=False,
)
WITHOUT_WAITING_ONE_P99 = Measure(
    "without_waiting_one_p99",
    "p99 with none waiting, 1 connection",
    Unit.SECONDS,
    WAITING_P99.includes,
    more_is_better=False,
)
WAITING_ONE_RATIO = Measure(
    "waiting_one_ratio",
    "publish, p99, 900 waiting ÷ none, 1 connection",
    Unit.RATIO,
    WAITING_P99.includes,
    more_is_better=False,
)
CPU_ONE_PROCESS = Measure(
    "cpu_one_process",
    "50 ms of pure Python, one process",
    Unit.PER_SECOND,
    "tasks per second, each 50 ms of CPU time of its own thread in pure Python, 200 of them in two"
    " halves, all ways in turn; from the start of the first of a half to the end of its last, by"
    " processes that run already",
    more_is_better=True,
)
CPU_TWO_PROCESSES = Measure(
    "cpu_two_processes",
    "50 ms of pure Python, two processes",
    Unit.PER_SECOND,
    CPU_ONE_PROCESS.includes,
    more_is_better=True,
)
CPU_TWO_THREADS = Measure(
    "cpu_two_threads",
    "50 ms of pure Python, two threads",
    Unit.PER_SECOND,
    CPU_ONE_PROCESS.includes,
    more_is_better=True,
)
CPU_TWO_TO_ONE = Measure(
    "cpu_two_to_one",
    "50 ms of pure Python, two processes ÷ one",
    Unit.RATIO,
    CPU_ONE_PROCESS.includes,
    more_is_better=True,
)
GROWN_PUBLISH = Measure(
    "grown_publish",
    "publish over HTTP",
    Unit.PER_SECOND,
    "at 32 connections and prefetch 500, with so many finished tasks in the table",
    more_is_better=True,
)
GROWN_DRAIN = Measure(
    "grown_drain",
    "drain",
    Unit.PER_SECOND,
    "10,000 queued tasks at prefetch 500, with so many finished ones in the table",
    more_is_better=True,
)
FIRST_PAGE = Measure(
    "first_page",
    "`GET /tasks`",
    Unit.SECONDS,
    "median answer of 100 tasks to one client, with so many finished tasks in the table, idle",
    more_is_better=False,
)
COMPLETED_PAGE = Measure(
    "completed_page",
    "`GET /tasks?status=completed`",
    Unit.SECONDS,
    FIRST_PAGE.includes,
    more_is_better=False,
)
DEEP_PAGE = Measure(
    "deep_page",
    "page 1,000 by cursor",
    Unit.SECONDS,
    FIRST_PAGE.includes,
    more_is_better=False,
)
GROWN_PUBLISH_RATIO = Measure(
    "grown_publish_ratio",
    "publish, large table ÷ small one",
    Unit.RATIO,
    "with 5,000,000 and with 1,000 finished tasks, in turn, twice",
    more_is_better=True,
)
GROWN_DRAIN_RATIO = Measure(
    "grown_drain_ratio",
    "drain, large table ÷ small one",
    Unit.RATIO,
    GROWN_PUBLISH_RATIO.includes,
    more_is_better=True,
)
DASHBOARD_PAGE = Measure(
    "dashboard_page",
    "a page of the dashboard",
    Unit.SECONDS,
    "median answer to one client, with so many tasks in the table, of which five in a hundred wait"
    " on a paused queue and five are dead; the two servers in turn, three times",
    more_is_better=False,
)
DASHBOARD_RATIO = Measure(
    "dashboard_ratio",
    "a page, large table ÷ small one",
    Unit.RATIO,
    DASHBOARD_PAGE.includes,
    more_is_better=False,
)

BY_KEY = {each.key: each for each in tuple(globals().values()) if isinstance(each, Measure)}
"""Every measure by what samples name it."""
