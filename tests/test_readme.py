"""What the README and `--help` show works, and answers as they say."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from falcon.inspect import inspect_routes

from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.edge import Edge
from task_queue.config.settings import load
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually
from tests.readme import Example, Names, answers, blocks, examples, files, typed

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = list(blocks(README))
LOOK_SECONDS = 10.0
"""How long what is shown may take to come about."""

CAPABILITIES = {
    "queues": ("queues", '"queue":', "/queues"),
    "priority": ("priorities", '"priority":'),
    "later": ("delays", '"delay_seconds":', '"run_at":', '"expires_at":'),
    "schedules": ("cron schedules", "-X PUT $Q/schedules/"),
    "retries": ("retries with backoff", '"max_attempts":'),
    "dead letters": ("dead letters", "/dead-letters", "/redrive", "/retry", "-X DELETE"),
    "cancel": ("cancelling", "/cancel", "/purge"),
    "pause": ("pausing", "/pause", "/resume"),
    "uniqueness": ("unique keys", '"unique_key":', "Idempotency-Key:"),
    "batches": ("batches", "/tasks/batch"),
    "limits": ("limits", "with the same key", '"key":'),
    "retention": ("retention", '"keep_result_seconds":'),
    "listing": ("tasks?status=",),
    "progress": ("progress",),
}
"""The words by which one finds each of them in the help."""

Serve = Callable[..., ServerProcess]


def knows_json() -> bool:
    """Whether there is a curl that knows `--json`."""
    if (curl := shutil.which("curl")) is None:
        return False
    options = [curl, "--help", "all"]
    return "--json" in subprocess.run(options, capture_output=True, text=True, check=False).stdout


needs_curl = pytest.mark.skipif(not knows_json(), reason="there is no curl, or one older than 7.82")


@pytest.mark.system
@needs_curl
def test_every_command_of_the_readme_answers_what_it_shows(serve: Serve, tmp_path: Path) -> None:
    save_files(tmp_path)
    server, names = started(serve, "make serve"), dict[str, str]()
    for example in examples(README):
        if "make serve" in example.command:
            assert server.terminate() == 0
            server = started(serve, example.command)
        else:
            names = answered(server, example, names)


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ('{"id":"A"}', '{"id":"B"}'),
        ('{"id":"A","count":1}', '{"id":"A","count":2}'),
        ('{"id":"A",…}', '{"status":"queued","id":"A"}'),
        ('{"id":"A"}', '{"id":"A","more":true}'),
        ('{"tasks":[{"id":"A"}]}', '{"tasks":[{"id":"A"},{"id":"B"}]}'),
        ('{"ids":["A","B"]}', '{"ids":["B","B"]}'),
        ('{"run_at":1795316813.6}', '{"run_at":null}'),
        ('{"counts":{"completed":1}}', '{"counts":{"completed":2}}'),
        ('{"next":["2026-11-22T09:00:00Z"]}', '{"next":["2026-11-23T08:00:00Z"]}'),
        ('{"error":"no … there"}', '{"error":"no task here"}'),
        ("HTTP/1.1 202 Accepted\n…\n\n{}", "HTTP/1.1 200 OK\nDate: now\n\n{}"),
        ("HTTP/1.1 202 Accepted\nA: 1\n\n{}", "HTTP/1.1 202 Accepted\nA: 2\n\n{}"),
        ('{"error":"none"}', ""),
    ],
)
def test_an_answer_that_differs_is_found(shown: str, real: str) -> None:
    ids = {f'"{name}"': f'"01a20138-8f21-7741-a8d4-e5a745e1d60{name}"'.lower() for name in "AB"}
    for name, one in ids.items():
        shown, real = shown.replace(name, one), real.replace(name, one)
    known = {ids['"A"'].strip('"'): ids['"A"'].strip('"')}
    assert answers(shown, real, known) is None
    assert answers(shown, shown, known) is not None


def test_every_target_of_make_that_the_readme_names_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    (?:\$ )?(?:\S+ )?)make (\w+)", README, re.MULTILINE))
    assert named
    assert named - targets == set()


@pytest.mark.system
def test_the_readme_lists_the_commands_of_the_program() -> None:
    listed = {
        line.split()[1]
        for block in BLOCKS
        for line in block.text.splitlines()
        if line.startswith("task-queue ")
    }
    known = set(re.findall(r"^\W*(\w+)  ", help_of().partition("Commands")[2], re.MULTILINE))
    assert listed
    assert listed == known


def test_every_file_of_settings_in_the_readme_loads_and_is_used(tmp_path: Path) -> None:
    save_files(tmp_path)
    toml = [block for block in BLOCKS if block.language == "toml"]
    assert toml
    for number, block in enumerate(toml):
        (path := tmp_path / f"{number}.toml").write_text(block.text)
        settings = load(path, environ={}).settings
        for name in (*settings.queues, *settings.actions):
            assert f'"{name}"' in README, f"nothing is shown of {name}"


def test_every_function_in_the_readme_is_an_action_of_its_settings() -> None:
    settings = [tomllib.loads(text) for name, text in files(README).items() if ".toml" in name]
    actions = [action for each in settings for action in each["actions"].values()]
    targets = [each if isinstance(each, str) else each.get("python") for each in actions]
    named = set(filter(None, targets))
    defined = {
        f"{name.removesuffix('.py').replace('/', '.')}:{node.name}"
        for name, text in files(README).items()
        if name.endswith(".py")
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }
    assert defined
    assert defined == named


def test_all_python_in_the_readme_is_in_files_that_its_commands_run() -> None:
    python = [block.text for block in BLOCKS if block.language == "python"]
    assert python == [text for name, text in files(README).items() if name.endswith(".py")]


def test_the_readme_lists_every_url() -> None:
    settings = load(environ={}).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)
    routes = inspect_routes(create_app(Edge(system, 1.0)))
    served = {
        f"{method.method} {route.path.replace('task_id', 'id')}"
        for route in routes
        for method in route.methods
        if not method.internal and method.method != "HEAD"
    }
    listed = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`?\s]*)", section("HTTP")))
    assert listed == served


def test_the_readme_lists_every_setting_with_its_default() -> None:
    defaults = resources.files("task_queue.config").joinpath("default.toml").read_text("utf-8")
    rows = [line.split("|") for line in section("Settings").splitlines() if line[:3] == "| `"]
    keys = [key for row in rows for key in re.findall("`(.*?)`", row[1])]
    shown = [value for row in rows for value in re.findall("`(.*?)`", row[2]) or [""]]
    real = {
        key: f"{value:g}" if isinstance(value, float) else str(value).replace("True", "true")
        for key, value in flat(tomllib.loads(defaults))
    }
    tables = {"queues.<name>", "actions.<name>", "schedules.<name>"}
    assert dict(zip(keys, shown, strict=True)) == real | dict.fromkeys(tables, "")


@pytest.mark.system
def test_the_help_names_every_capability() -> None:
    words = " ".join(f"{help_of()} {help_of('serve')}".split()).lower()
    missing = {
        name: word
        for name, all_words in CAPABILITIES.items()
        for word in all_words
        if word.lower() not in words
    }
    assert missing == {}


@pytest.mark.system
@needs_curl
def test_every_command_of_the_help_is_understood(serve: Serve) -> None:
    server = serve().start()
    task_id = server.publish("sum")
    server.wait_for_status(task_id, "completed")
    text = help_of("serve").replace("ID", task_id)
    # What goes on in the next line does so inside of quotes.
    commands = re.findall(r"^ +(\w+) +(curl (?:[^'\n]|'[^']*')*)", text, re.MULTILINE)
    assert len(commands) > 10
    for name, command in commands:
        shown = command.strip()
        asked = f"Q={server.client.base_url}; {shown} -o /dev/null -w '%{{http_code}}'"
        # 409: a finished task cannot be cancelled, nor a completed one be retried.
        assert output_of(asked) in {"200", "201", "202", "204", "409"}, (name, shown)


def help_of(*command: str) -> str:
    """What the program says about itself, or about one of its commands."""
    done = subprocess.run(
        [sys.executable, "-m", "task_queue", *command, "--help"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    return done.stdout


def save_files(directory: Path) -> None:
    """Save the README's files there."""
    for name, text in files(README).items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def section(title: str) -> str:
    """The README's section by that title."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values by their dotted keys."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def started(serve: Serve, command: str) -> ServerProcess:
    """The server that this `make serve` starts, but on a free port."""
    words = shlex.split(command)
    environ = dict(word.split("=", 1) for word in words if "=" in word)
    options = shlex.split(environ.pop("ARGS", ""))
    pairs = list(zip(options[::2], options[1::2], strict=True))
    server = serve(*(value for option, value in pairs if option == "--set"))
    # As the installed program, which does not look for modules where it is started.
    path = os.pathsep.join([str(ROOT), *filter(None, [environ.pop("PYTHONPATH", None)])])
    server.environ |= {**environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    if (config := dict(pairs).get("--config")) is not None:
        server.environ["TASK_QUEUE_CONFIG"] = config
    return server.start()


def answered(server: ServerProcess, example: Example, names: Names) -> Names:
    """The names with those of this example, once its answer is the one that is shown.

    A command that only looks is repeated until then.
    """
    port = server.client.base_url.port
    command = re.sub("(?<=localhost:)8080", str(port), typed(example.command, names))
    # The program, where the files of the README are.
    program = f"cd {server.directory} && PYTHONPATH={ROOT} {sys.executable} -m task_queue"
    command = re.sub(r"^\.venv/bin/task-queue", program, command)
    only_looks = re.search(" (-X|-d|--json) ", command) is None
    seen = ""

    def look() -> list[Names]:
        nonlocal seen
        seen = output_of(command)
        found = answers(example.answer, seen, names)
        return [] if found is None else [found]

    what = f"README.md:{example.line}: {command}\nas shown: {example.answer}"
    try:
        return eventually(look, what, LOOK_SECONDS if only_looks else 0.0)[0]
    except AssertionError as error:
        message = f"{error}\nanswered: {seen}"
        raise AssertionError(message) from None


def output_of(command: str) -> str:
    """What the shell prints for this command."""
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "no_proxy": "localhost,127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    return done.stdout
