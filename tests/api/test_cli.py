"""The command line: what it prints, where, and its exit codes."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg
import pytest

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import ADVISORY_LOCK, migrate
from task_queue.api.commands.help import CAPABILITIES, COMMAND_EXAMPLES, EXAMPLES, RUN_EXAMPLES
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually

pytestmark = pytest.mark.system

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PUBLISHING = (
    *("publish", "batch", "queue", "priority", "delay", "time", "deadline"),
    *("retries", "unique", "tenant", "repeat", "retention"),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `task-queue` in a directory of its own until it ends."""

    def task_queue(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        plain = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "NO_COLOR": "1", "COLUMNS": "100"}
        return subprocess.run(
            [sys.executable, "-m", "task_queue", *arguments],
            cwd=tmp_path,
            env={**os.environ, **plain, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return task_queue


def complaint(result: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line on stderr that says what is wrong."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("task-queue: ")
    return line.removeprefix("task-queue: ")


def serve_on_a_free_port(run: Run, *settings: str) -> "subprocess.CompletedProcess[str]":
    overrides = [part for each in ("http.port=0", *settings) for part in ("--set", each)]
    return run("serve", *overrides)


def test_version_is_the_installed_one(run: Run) -> None:
    result = run("version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"task-queue {version('task-queue')}\n"


@pytest.mark.parametrize(
    "command",
    [
        *([], ["serve"], ["run"], ["migrate"], ["config"], ["openapi"], ["version"]),
        *(["init"], ["backup"], ["restore"], ["check"]),
        *(["keys", each] for each in ("create", "list", "revoke")),
        *(["publish"], ["dead", "redrive"], ["doctor"]),
    ],
)
def test_help_is_there_for_every_command_and_fits_a_screen_of_80_columns(
    run: Run, command: list[str]
) -> None:
    result = run(*command, "--help", COLUMNS="80")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: " in result.stdout
    asks = command[:1] in (["publish"], ["dead"])
    expected = [] if command in ([], ["version"], ["init"]) else ["--set", "--config"]
    expected = ["--url", "--key-file"] if asks else expected
    expected += [] if command else ["serve", "run", "migrate", "config", "keys", "version"]
    assert [word for word in expected if word not in result.stdout] == []
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    epilogs = {
        "": CAPABILITIES,
        "serve": EXAMPLES,
        "run": RUN_EXAMPLES,
        "publish": COMMAND_EXAMPLES,
    }
    epilog = epilogs.get("".join(command), "")
    expected = [f" {line}" for line in epilog.strip().splitlines() if line]
    assert [line for line in expected if line.rstrip() not in map(str.rstrip, lines)] == []


def test_help_names_every_capability(run: Run) -> None:
    text = " ".join(run("--help").stdout.lower().split())
    words = (
        "queues, priorities, delays, schedules, retries, backoff, dead letters, cancelling,"
        " pausing, limits, unique keys, batches, retention, task-queue serve --help"
    )
    assert [word for word in words.split(", ") if word not in text] == []


def test_every_example_of_the_help_works(run: Run, serve: Callable[..., ServerProcess]) -> None:
    shown = run("serve", "--help", COLUMNS="80").stdout
    text = "publish " + shown.partition("publish ")[2].partition("Queues, ")[0]
    # As they are copied: what goes on in the next line does so inside of quotes.
    one = re.compile(r"^ *(\w+) +(curl .*?)\s*(?=^ *\w+ +curl |\Z)", re.MULTILINE | re.DOTALL)
    examples = dict(one.findall(text))
    assert len(examples) == EXAMPLES.count("curl ") - 1  # one tells of curl's version
    server = serve("actions.sum=tests.actions:reject").start()
    task_id = server.publish("sum")
    server.wait_for_status(task_id, "dead")

    def status(name: str) -> int:
        command = examples[name].replace("/ID", f"/{task_id}")
        result = subprocess.run(
            ["sh", "-c", f"{command} -s -w '\n%{{http_code}}'"],
            env={**os.environ, "Q": str(server.client.base_url).rstrip("/")},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        return int(result.stdout.splitlines()[-1])

    # Of one task that died: it cannot be cancelled, but retried, and when it is dead again deleted.
    expected = dict.fromkeys(examples, 200) | dict.fromkeys(PUBLISHING, 202)
    expected |= {"schedule": 201, "cancel": 409, "retry": 202, "redrive": 200}
    del expected["delete"]
    for name, code in expected.items():
        server.wait_for_status(task_id, "dead")
        assert (name, status(name)) == (name, code)
    server.wait_for_status(task_id, "dead")
    assert status("delete") == 204


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sing"], "sing"),
        (["serve", "--port", "1"], "--port"),
        (["serve", "now"], "now"),
        (["migrate", "--set"], "--set"),
    ],
)
def test_wrong_usage_is_named_and_exits_with_2(run: Run, arguments: list[str], word: str) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_setting_is_named_with_what_is_allowed_and_exits_with_2(run: Run) -> None:
    line = complaint(run("serve", "--set", "http.port=http"), 2)
    assert line == "http.port = http (from --set): must be a whole number"
    line = complaint(run("migrate", TASK_QUEUE_HTTP__PROT="1"), 2)
    assert line.startswith("http.prot (from environment TASK_QUEUE_HTTP__PROT): unknown key; ")
    line = complaint(run("config", "--set", "actions.x=m\udcff:f"), 2)
    assert line == r'actions.x = "m\udcff:f" (from --set): must be UTF-8'
    line = complaint(run("config", "--config", "none.toml"), 2)
    assert line == "config file none.toml: No such file or directory"


def test_a_variable_that_sets_nothing_is_a_line_in_the_log(run: Run) -> None:
    result = run("config", TASK_QUEUE_PORT="tcp://10.96.0.12:8080", TASK_QUEUE_SERVICE_HOST="a")
    assert result.returncode == 0
    line = json.loads(result.stderr)
    assert (line["level"], line["names"]) == (
        "warning",
        ["TASK_QUEUE_PORT", "TASK_QUEUE_SERVICE_HOST"],
    )


@pytest.mark.parametrize("command", ["serve", "config"])
def test_wrong_schedules_have_a_line_each_and_exit_with_2(
    run: Run, tmp_path: Path, command: str
) -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (tmp_path / "mine.py").write_text(f"{thread}def x(data): pass\n")
    result = run(
        command,
        *("--set", "actions.x.python=mine:x"),
        *("--set", "schedules.a={cron='x', task={action='x'}}"),
        *("--set", "schedules.b={cron='* * * * *', task={action='x', priority=101}}"),
        *("--set", "schedules.c={cron='* * * * *', task={action='x'}}"),
    )
    first, second, *rest = result.stderr.splitlines()
    assert ["ended by force" in line for line in rest] == [True] * (command == "serve")
    assert first.startswith("task-queue: schedules.a (from --set): cron must have 5 fields")
    rule = "task.priority must be a whole number from -100 to 100, not 101"
    assert second == f"schedules.b (from --set): {rule}"
    assert (result.returncode, result.stdout) == (2, "")
    assert not (tmp_path / "data").exists()


def test_a_stop_while_a_module_is_imported_exits_with_0_whatever_the_module_has_left(
    run: Run, tmp_path: Path
) -> None:
    left = "import os, signal, threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (tmp_path / "mine.py").write_text(f"{left}os.kill(os.getpid(), signal.SIGTERM)\n")
    assert run("serve", "--set", "actions.x.python=mine:x").returncode == 0


def test_config_shows_each_setting_with_its_origin(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[http]\nthreads = 7\n")
    result = run(
        "config", "--config", "mine.toml", "--set", "http.port=1", TASK_QUEUE_LOG__LEVEL="DEBUG"
    )
    assert (result.returncode, result.stderr) == (0, "")
    rows = [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]
    assert rows[0] == ["setting", "value", "from"]
    assert ["http.port", "1", "--set"] in rows
    assert ["http.threads", "7", "file mine.toml"] in rows
    assert ["log.level", "DEBUG", "environment TASK_QUEUE_LOG__LEVEL"] in rows
    assert ["queues.tasks.prefetch", "5", "default"] in rows


def test_migrate_makes_the_schema_and_may_be_repeated(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        result = run("migrate")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == "the schema is up to date\n"
    with sqlite3.connect(tmp_path / "data" / "tasks.db") as database:
        assert database.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
    database.close()


def test_what_a_start_does_not_need_it_does_not_import(run: Run, tmp_path: Path) -> None:
    migrate(Database(f"sqlite:///{tmp_path}/tasks.db"))
    url = f"database.url=sqlite:///{tmp_path}/tasks.db"
    result = run("migrate", "--set", url, PYTHONPROFILEIMPORTTIME="1")
    assert result.stdout == "the schema is up to date\n"
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "task_queue.actors.database" in imported
    assert imported.isdisjoint({"alembic", "httpx", "psycopg", "task_queue.api.server.serve"})


def test_the_banner_says_in_six_lines_what_runs_and_how_to_try_it(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve("queues.tasks.concurrency=3", "http.host=localhost").start()
    url = str(server.client.base_url).rstrip("/")
    # The banner is written at once, before the server answers.
    assert server.client.get("/healthz").status_code == 200
    assert server.terminate() == 0
    first, database, queue, dashboard, example, stop = server.output
    assert dashboard == f"  dashboard {url}/ui/\n"
    assert first == f"task-queue {version('task-queue')} listens on {url}\n"
    assert database.split() == ["database", "sqlite:///data/tasks.db"]
    assert "tasks: driver database (every 202 is on disk), 3 consumers, prefetch 5" in queue
    assert f"curl -X POST {url}/tasks" in example
    assert "Ctrl-C" in stop
    assert (tmp_path / "data" / "tasks.db").exists()


def test_what_standard_output_does_not_take_ends_no_server(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve()
    server.wrapper = ("sh", "-c", 'exec "$@" <&- >/dev/full', "sh")
    server.spawn()
    refused = server.wait_for_log("cannot write to standard output")
    assert (refused["level"], refused["error"]) == ("warning", "No space left on device")
    assert server.terminate() == 0


def test_streams_that_are_closed_from_the_start_keep_nothing_from_working(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "closed").write_text('exec "$@" <&- >&- 2>&-\n')
    for command in (["config"], ["migrate"], ["run", "sum"]):
        ended = ["sh", "closed", sys.executable, "-m", "task_queue", *command]
        assert (command, subprocess.run(ended, cwd=tmp_path, check=False).returncode) == (
            command,
            0,
        )
    server = serve(
        "queues.tasks.max_attempts=1",
        'actions.loud={command=["sh", "-c", "echo heard >&2; exit 1"]}',
    )
    server.wrapper = ("sh", "-c", 'exec "$@" <&- 2>&-', "sh")
    server.start()
    task = server.wait_for_status(server.publish("loud"), "dead")
    assert task["error"] == "exit code 1: heard"
    assert server.terminate() == 0


def test_the_banner_names_no_dashboard_where_there_is_none(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    for setting in ("ui.enabled=false", f"http.socket={tmp_path}/socket"):
        server = serve(setting).start()
        assert server.terminate() == 0
        assert "dashboard" not in "".join(server.output)


def test_the_banner_has_a_line_for_each_queue(serve: Callable[..., ServerProcess]) -> None:
    server = serve(
        "queues.mail.concurrency=4", "queues.quick={driver='memory', prefetch=9}"
    ).start()
    assert server.terminate() == 0
    assert [line.split("queue     ")[-1] for line in server.output[2:5]] == [
        "tasks: driver database (every 202 is on disk), 2 consumers, prefetch 5\n",
        "mail: driver database (every 202 is on disk), 4 consumers, prefetch 5\n",
        "quick: driver memory (kept in memory), 2 consumers, prefetch 9\n",
    ]


def test_the_banners_example_works_as_it_stands(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve().start()
    server.client.get("/healthz")
    command = server.output[4].partition("try it")[2].strip()
    shown = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    assert '"status":"queued"' in shown.stdout
    (task,) = server.all_tasks()
    assert server.wait_for_status(task["id"], "completed")["result"] == {"output": "HELLO WORLD"}


def test_a_port_in_use_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = complaint(run("serve", "--set", f"http.port={port}"), 1)
    assert line == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    ("host", "reason"), [("192.0.2.1", "Cannot assign requested address"), ("a..b", "")]
)
def test_an_address_that_is_not_ours_is_one_line(run: Run, host: str, reason: str) -> None:
    line = complaint(serve_on_a_free_port(run, f"http.host={host}"), 1)
    assert line.startswith(f"cannot listen on {host}:0: {reason}")


def test_a_directory_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # permissions would not stop root
    line = complaint(serve_on_a_free_port(run, "database.url=sqlite:///file/below/tasks.db"), 1)
    assert line == f"cannot write in the directory {tmp_path}/file/below: Not a directory"
    (tmp_path / "tasks.db.lock").symlink_to("/dev/full")  # takes no process id, as a full disk
    line = complaint(serve_on_a_free_port(run, "database.url=sqlite:///tasks.db"), 1)
    assert line == f"cannot lock the file {tmp_path}/tasks.db.lock: Invalid argument"
    line = complaint(serve_on_a_free_port(run, "database.url=sqlite:///\udcff/tasks.db"), 1)
    assert line == rf"the path of the database, '{tmp_path}/\udcff/tasks.db', must be UTF-8"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:///directory", "unable to open database file: Is a directory"),
        ("sqlite:///dangling", "unable to open database file: No such file or directory"),
        ("sqlite:///text", "file is not a database"),
        ("postgresql://u:hunter2@127.0.0.1:{port}/x", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line(
    run: Run, tmp_path: Path, url: str, reason: str
) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere/tasks.db")
    (tmp_path / "text").write_text("This is no database.\n" * 100)
    with socket.socket() as silent:  # bound, but nobody listens
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        line = complaint(serve_on_a_free_port(run, f"database.url={url.format(port=port)}"), 1)
    assert line.startswith("cannot open the database ")
    assert reason in line
    assert "hunter2" not in line


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_second_server_on_the_same_file_is_refused_and_the_first_goes_on(
    run: Run, serve: Callable[..., ServerProcess], tmp_path: Path, command: str
) -> None:
    server = serve().start()
    line = complaint(run(command, "--set", "http.port=0"), 1)
    path = tmp_path / "data" / "tasks.db"
    assert line == f"{path} is in use by another task-queue (process {server.pid})"
    server.wait_for_status(server.publish("x"), "completed")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:run", "No module named 'no_such_module'"),
        ("os:no_such_function", "module 'os' has no attribute 'no_such_function'"),
        ("os:sep", "it is of the type str; name a function"),
        ("broken:run", "SyntaxError: "),
        ("raises:run", "RuntimeError: at import"),
    ],
)
def test_an_action_that_cannot_be_imported_is_one_line(
    run: Run, tmp_path: Path, target: str, reason: str
) -> None:
    (tmp_path / "broken.py").write_text("def run(:\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('at import')\n")
    line = complaint(serve_on_a_free_port(run, f"actions.mine={target}"), 1)
    assert line.startswith(f"actions.mine = '{target}' ")
    assert reason in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["serve", "migrate"])
@pytest.mark.parametrize(
    ("made_by", "reason"),
    [
        (
            [
                "CREATE TABLE alembic_version (version_num TEXT)",
                "INSERT INTO alembic_version VALUES ('9999')",
            ],
            "was made by a newer version of task-queue (revision 9999)",
        ),
        (["CREATE TABLE tasks (id TEXT)"], "table tasks already exists"),
    ],
    ids=["newer", "foreign"],
)
def test_when_the_migration_fails_nothing_starts_and_nothing_is_changed(
    run: Run, tmp_path: Path, command: str, made_by: list[str], reason: str
) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        for statement in made_by:
            database.execute(statement)
    before = list(database.iterdump())
    settings = ("--set", "http.port=0", "--set", "database.url=sqlite:///other.db")
    line = complaint(run(command, *settings), 1)
    assert f"sqlite:///{path}" in line
    assert reason in line
    assert list(database.iterdump()) == before
    database.close()


def test_nothing_listens_before_the_migration_is_done(
    serve: Callable[..., ServerProcess], postgres_url: str
) -> None:
    server = serve(f"database.url={postgres_url}")
    with psycopg.connect(postgres_url) as migrating, psycopg.connect(postgres_url) as watching:
        migrating.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        server.spawn()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = %s"
        database = postgres_url.rpartition("/")[2]
        watching.autocommit = True
        eventually(
            lambda: watching.execute(waiting, [database]).fetchone(), "it waits for its turn"
        )
        assert listens_on(server.pid) == []
    server.wait_until_listening()
    assert listens_on(server.pid) == [server.client.base_url.port]


def listens_on(process: int) -> list[int]:
    """The ports at which a process takes connections."""
    connections = psutil.Process(process).net_connections("tcp")
    return [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]
