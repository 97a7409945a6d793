"""The storage fails under a running server: 503 meanwhile, nothing lost, and no restart needed."""

import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store import queues
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.queues import set_paused
from task_queue.actors.store.session import Session
from tests import postgres
from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import Gate, ServerProcess, eventually
from tests.silence import proxy

REFUSED = 20
pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
WAIT = 'actions.wait="tests.actions:wait_for_fifo"'


@contextmanager
def nothing_is_lost(server: ServerProcess, url: str, gate: Gate) -> Iterator[Load]:
    """Publishers before, during and after the fault that the block makes and takes away.

    A task runs all the while and ends in the middle of the fault. At the end everything accepted
    was done, each once, by the process that was there before.
    """
    pid = server.pid
    running = server.publish("wait", fifo=str(gate.path))
    server.wait_for_log("processing task", id=running)
    with Load(publishers=4) as load:
        load.aim(server)
        load.wait_for(accepted=100)
        yield load
        load.wait_for(accepted=len(load.accepted) + 100)
    rows = Stored(url).wait_until_finished()
    load.check(rows.values())
    assert (rows[running].status, rows[running].output) == ("completed", "through")
    assert rows[running].attempt == 1, "its result was kept, it was not run again"
    assert load.cut == 0
    assert server.alive
    assert server.pid == pid


def writes_fail(server: ServerProcess, load: Load, gate: Gate) -> None:
    """See that publishes are refused, and let the running task end meanwhile."""
    load.wait_for(refused=len(load.refused) + REFUSED)
    before = len(load.accepted)
    gate.open()
    server.wait_for_log("task completed", action="wait")
    load.wait_for(refused=len(load.refused) + REFUSED)
    assert len(load.accepted) == before


def listings_work(server: ServerProcess) -> None:
    listing = server.client.get("/tasks", params={"limit": "1000"})
    assert listing.status_code == 200
    assert listing.json()["count"] >= 100


@contextmanager
def no_write_succeeds(server: ServerProcess) -> Iterator[None]:
    """Let every write of the process to a file fail."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


def test_writes_that_fail_are_survived_and_recovered_from(serve: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(f"database.url={url}", WAIT).start()
    gate = Gate(tmp_path)
    with nothing_is_lost(server, url, gate) as load, no_write_succeeds(server):
        writes_fail(server, load, gate)
        listings_work(server)
    assert server.terminate() == 0


def test_a_queue_that_dies_while_the_database_is_locked_has_its_tasks_back_at_once_afterwards(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(
        f"database.url=sqlite:///{tmp_path}/tasks.db",
        "database.busy_timeout_seconds=0.1",
        'actions.kill="tests.actions:kill_actor"',
        "queues.tasks.lease_seconds=3600",
    ).start()
    gate = Gate(tmp_path)
    killed = f"{tmp_path}/killed"
    task = server.publish("kill", actor="QueueActor", once=killed, fifo=str(gate.path))
    server.wait_for_log("processing task", id=task)
    with closing(sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        gate.open()
        server.wait_for_log("actor crashed", actor="queue-tasks")
        server.wait_for_log("actor restarted", child="consumer-tasks-2")
        assert server.post("sum").status_code == 503
    assert server.wait_for_status(task, "completed")["attempt"] == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("file systems cannot be mounted here: run as root, in a privileged container")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_file_system_that_runs_full_is_survived_and_recovered_from(
    serve: Serve, small_disk: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{small_disk}/tasks.db"
    server = serve(f"database.url={url}", "database.min_free_bytes=0", WAIT).start()
    gate = Gate(tmp_path)
    with nothing_is_lost(server, url, gate) as load:
        ballast = small_disk / "ballast"
        fill(ballast)
        load.wait_for(refused=REFUSED)
        fill(ballast)
        writes_fail(server, load, gate)
        listings_work(server)
        ballast.unlink()
    assert server.terminate() == 0


def test_a_log_that_took_the_last_space_is_folded_into_the_file(small_disk: Path) -> None:
    database = Database(f"sqlite:///{small_disk}/tasks.db")
    migrate(database)
    writer, reader = Session(database), Session(database, read_only=True)
    with reader.transaction():  # the last connection that is closed would fold it too
        queues.is_paused(reader.connection, "tasks")
    failed = []
    for commit in range(3_000):  # of a page or two; SQLite folds a thousand, here fewer fit
        try:
            with writer.transaction():
                set_paused(writer.connection, "tasks", paused=commit % 2 == 0)
        except StoreUnavailableError:
            failed.append(commit)
    writer.close()
    reader.close()
    assert failed, "the log took all the space"
    assert all(later - former > 500 for former, later in pairwise(failed)), "and gave it back"


def fill(ballast: Path) -> None:
    """Take all space that is left."""
    with suppress(OSError), ballast.open("ab", buffering=0) as file:  # no space left on device
        while True:
            file.write(bytes(4096))


@pytest.fixture
def no_superuser() -> Sequence[str]:
    """A command whose process obeys file modes, as root otherwise does not."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores file modes: run as another user, or install util-linux's setpriv")
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")


def test_a_database_that_turns_read_only_is_survived_and_recovered_from(
    no_superuser: Sequence[str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = ServerProcess(tmp_path, f"database.url={url}", WAIT, wrapper=no_superuser)
    gate = Gate(tmp_path)
    try:
        with nothing_is_lost(server.start(), url, gate) as load:
            files = [tmp_path / f"tasks.db{suffix}" for suffix in ("", "-wal", "-shm")]
            for file in files:
                file.chmod(0o444)
            with no_write_succeeds(server):  # the mode counts when the files are opened again
                load.wait_for(refused=REFUSED)
            writes_fail(server, load, gate)
            listings_work(server)
            for file in files:
                file.chmod(0o644)
        assert server.terminate() == 0
    finally:
        server.close()


@pytest.fixture
def own_postgres() -> Iterator[postgres.ThrowAwayServer]:
    """A PostgreSQL that the test may stop."""
    if not postgres.ThrowAwayServer.possible():
        pytest.skip(postgres.HOW)
    with postgres.throw_away_server() as database:
        yield database


def test_a_stop_of_postgresql_is_survived_and_recovered_from(
    serve: Serve, own_postgres: postgres.ThrowAwayServer, tmp_path: Path
) -> None:
    # The outage outlasts the lease.
    server = serve(f"database.url={own_postgres.url}", WAIT, "queues.tasks.lease_seconds=1").start()
    gate = Gate(tmp_path)
    with nothing_is_lost(server, own_postgres.url, gate) as load:
        own_postgres.stop()
        writes_fail(server, load, gate)
        assert server.client.get("/readyz").status_code == 503
        assert server.client.get("/tasks").status_code == 503
        own_postgres.start()
        eventually(lambda: server.client.get("/readyz").is_success, "ready again")
    assert server.terminate() == 0


def test_a_server_that_goes_silent_is_given_up_and_connected_to_anew(
    serve: Serve, postgres_url: str
) -> None:
    address = conninfo_to_dict(postgres_url)
    with proxy(str(address["host"]), int(str(address["port"]))) as between:
        url = f"postgresql://{address['user']}@127.0.0.1:{between.port}/{address['dbname']}"
        server = serve(
            f"database.url={url}",
            "database.connect_timeout_seconds=1",
            "database.statement_timeout_seconds=1",
        ).start()
        server.publish("sum", numbers=[1])
        between.silent.set()
        eventually(lambda: server.post("sum").status_code == 503, "publishes are refused")
        server.wait_for_log("database unavailable")
        assert server.client.get("/readyz").status_code == 503
        assert server.client.get("/tasks").status_code == 503
        between.silent.clear()
        eventually(lambda: server.post("sum").status_code == 202, "publishes are taken again")
        eventually(lambda: server.client.get("/readyz").is_success, "ready again")
        assert server.terminate() == 0


# --- a SQLite file that is lost -------------------------------------------------------------


def test_a_database_that_is_moved_away_takes_nothing_until_it_is_back(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(f"database.url={url}").start()
    first = server.publish("sum", numbers=[1])
    server.wait_for_status(first, "completed")
    (tmp_path / "tasks.db").rename(tmp_path / "away.db")
    said = f"the database file {tmp_path}/tasks.db is not there any more"
    assert server.wait_for_log("database unavailable")["error"].startswith(said)
    assert server.post("sum").status_code == 503
    ready = server.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["problems"][0].startswith(f"the last commit failed: {said}")
    (tmp_path / "away.db").rename(tmp_path / "tasks.db")
    server.wait_for_log("database available again")
    second = server.publish("sum", numbers=[2])
    server.wait_for_status(second, "completed")
    assert server.client.get("/readyz").is_success
    assert server.terminate() == 0
    assert Stored(url).rows().keys() == {first, second}


def test_a_log_that_is_removed_is_saved_by_sigterm(serve: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(f"database.url={url}").start()
    tasks = [server.publish("sum", numbers=[number]) for number in range(5)]
    (tmp_path / "tasks.db-wal").unlink()
    server.wait_for_log("database unavailable")
    assert server.post("sum").status_code == 503
    assert server.terminate() == 0
    assert Stored(url).rows().keys() >= set(tasks)


def test_a_lock_file_that_is_removed_is_made_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(f"database.url=sqlite:///{tmp_path}/tasks.db").start()
    lock = tmp_path / "tasks.db.lock"
    lock.unlink()
    eventually(lambda: lock.exists() and lock.read_text(), "the lock is taken again")
    second = serve(f"database.url=sqlite:///{tmp_path}/tasks.db").spawn()
    assert second.wait() == 1
    server.publish("sum", numbers=[1])
