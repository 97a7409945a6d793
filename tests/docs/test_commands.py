"""What the pages show works, and answers as they say."""

import faulthandler
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.curl import needs_curl
from tests.docs.pages import PAGES, Example, File, Names, answers, examples, page_id, steps, typed
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually

LOOK_SECONDS = 30.0
"""How long what is shown may take to come about."""
SCHEDULE_SECONDS = 90.0
"""The same of a schedule, which publishes once a minute at most."""

CHANGES = (
    "task-queue (publish|purge|export|import"
    "|tasks (cancel|retry)|dead redrive|schedules (run|delete))"
)
"""The commands that are not repeated until their answer is the one that is shown."""
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
"""Where the program is installed, too."""

Serve = Callable[..., ServerProcess]


@pytest.mark.system
@needs_curl
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if examples(page.read_text("utf-8"))], ids=page_id
)
def test_every_command_of_the_page_answers_what_it_shows(
    page: Path, serve: Serve, tmp_path: Path
) -> None:
    faulthandler.cancel_dump_traceback_later()  # a page that waits for a full minute does not hang
    (tmp_path / ".venv").symlink_to(sys.prefix)
    names, server = dict[str, str](), None
    for step in steps(page.read_text("utf-8")):
        match step:
            case File():
                save(tmp_path, step)
            case Example() if re.search("(make|task-queue) serve", step.command):
                if server is not None:
                    assert server.terminate() == 0
                server = started(serve, step)
            case Example():
                server = server or started(serve, Example(step.line, "make serve", ""))
                names = answered(server, page, step, names)
                if step.command.startswith("kill -9 "):
                    assert server.wait() == -signal.SIGKILL
                    server = None


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
        ("1 passed in … s", "1 failed in 2 s"),
        ("1 passed", '{"passed":1}'),
        ('{"passed":1', '{"passed":1}'),
    ],
)
def test_an_answer_that_differs_is_found(shown: str, real: str) -> None:
    ids = {f'"{name}"': f'"01a20138-8f21-7741-a8d4-e5a745e1d60{name}"'.lower() for name in "AB"}
    for name, one in ids.items():
        shown, real = shown.replace(name, one), real.replace(name, one)
    known = {ids['"A"'].strip('"'): ids['"A"'].strip('"')}
    assert answers(shown, real, known) is None
    assert answers(shown, shown, known) is not None


def save(directory: Path, file: File) -> None:
    """Save the file there, in a folder of its own if its name says so."""
    path = directory / file.name
    path.parent.mkdir(exist_ok=True)
    path.write_text(file.text)


def started(serve: Serve, example: Example) -> ServerProcess:
    """The server that this `make serve` or `task-queue serve` starts, but on a free port."""
    command, _, rest = example.command.partition("task-queue serve")
    environ = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    options = shlex.split(environ.pop("ARGS", rest))
    pairs = list(zip(options[::2], options[1::2], strict=True))
    server = serve(*(value for option, value in pairs if option == "--set"), first=True)
    # As the installed program, which does not look for modules where it is started.
    path = os.pathsep.join([str(ROOT), *filter(None, [environ.pop("PYTHONPATH", None)])])
    server.environ |= {**environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    if (config := dict(pairs).get("--config")) is not None:
        server.environ["TASK_QUEUE_CONFIG"] = config
    server.start()
    if example.answer:

        def look() -> bool:
            said = "".join(server.output).replace(f":{server.client.base_url.port}", ":8080")
            return answers(example.answer, said, {}) is not None

        eventually(look, f"line {example.line}: {example.answer}", LOOK_SECONDS)
    return server


def answered(server: ServerProcess, page: Path, example: Example, names: Names) -> Names:
    """The names with those of this example, once its answer is the one that is shown.

    A command that only looks is repeated until then.
    """
    port = server.client.base_url.port
    command = re.sub("(?<=localhost:)8080", str(port), typed(example.command, names))
    environ = {"TASK_QUEUE_URL": f"http://localhost:{port}"}
    seconds = SCHEDULE_SECONDS if "/schedules/" in command else LOOK_SECONDS
    only_looks = re.search(f" (-X|-d|--json) |{CHANGES}", command) is None
    seen = ""

    def look() -> list[Names]:
        nonlocal seen
        seen = output_of(command, server.directory, **environ)
        found = answers(example.answer, seen, names)
        return [] if found is None else [found]

    what = f"{page_id(page)}:{example.line}: {command}\nas shown: {example.answer}"
    try:
        return eventually(look, what, seconds if only_looks else 0.0)[0]
    except AssertionError as error:
        message = f"{error}\nanswered: {seen}"
        raise AssertionError(message) from None


def output_of(command: str, directory: Path, **environ: str) -> str:
    """What the shell prints for this command, typed in the directory."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": PATH, "no_proxy": "localhost,127.0.0.1", **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    return done.stdout
