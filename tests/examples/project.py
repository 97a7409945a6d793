"""An example of the documentation as its reader has it: a copy of its folder, elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.docs.pages import CUT, Example, Names, answers, examples, typed
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually

EXAMPLES = ROOT / "docs" / "examples"
LOOK_SECONDS = 20.0
"""How long what is shown may take to come about."""
NO_NAMES: Mapping[str, str] = MappingProxyType({})
SERVE = "task-queue serve --config tq.toml"
"""How each of them starts the server."""
RUN_TESTS = "python -m pytest -q"
"""How those that have tests run them."""


@dataclass(frozen=True)
class Program:
    """A program that runs beside the server.

    Attributes:
        url: Where it listens.
        process: The process.
    """

    url: str
    process: "subprocess.Popen[str]"

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def next_line(self) -> str:
        """Return what it prints next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()


class Project:
    """A copy of an example."""

    def __init__(self, name: str, parent: Path) -> None:
        self.directory = parent / name
        leave_out = shutil.ignore_patterns("__pycache__", ".*_cache")
        shutil.copytree(EXAMPLES / name, self.directory, ignore=leave_out)
        # Nothing of the checkout is in reach but what is installed.
        self.environ = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
        self.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ["no_proxy"] = "localhost,127.0.0.1"
        self._all_commands = examples((self.directory / "README.md").read_text("utf-8"))

    @property
    def commands(self) -> list[Example]:
        """The commands of its page, but for the one that runs its tests."""
        return [each for each in self._all_commands if each.command != RUN_TESTS]

    @property
    def run_tests(self) -> list[Example]:
        """The command of its page that runs its tests."""
        return [each for each in self._all_commands if each.command == RUN_TESTS]

    @contextmanager
    def server(self, *settings: str) -> Iterator[ServerProcess]:
        """Run the server on a free port, with these settings besides those of the example."""
        server = ServerProcess(self.directory, *settings)
        server.environ = self.environ | {"TASK_QUEUE_CONFIG": "tq.toml"}
        try:
            yield server.start()
            assert server.terminate() == 0, server.log
        finally:
            server.close()

    @contextmanager
    def program(self, *command: str, **environ: str) -> Iterator[Program]:
        """Run a program of the example that says where it listens in its first line."""
        process = subprocess.Popen(
            [sys.executable, "-u", *command],
            cwd=self.directory,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert "http://" in line, line
                yield Program(line.split()[-1], process)
            finally:
                process.kill()

    def run(self, command: str) -> str:
        """Run a command in the shell, and return what it prints."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def follow(
        self, commands: list[Example], ports: Mapping[str, str], names: Mapping[str, str] = NO_NAMES
    ) -> Names:
        """Run commands of its page, and see that they answer what it shows.

        One that only looks is repeated until then.

        Args:
            commands: None of them starts a program that goes on.
            ports: The real ports by those of the page.
            names: The real ids by those of the page, as far as they are known.

        Returns:
            The names with those that these commands add.
        """
        known = dict(names)
        for example in commands:
            command = re.sub(
                r"(?<=localhost:)\d+", lambda port: ports[port[0]], typed(example.command, known)
            )
            known |= self._answered(command, example, known)
        return known

    def _answered(self, command: str, example: Example, names: Names) -> Names:
        only_looks = re.match(r"curl (?!.*(-X|--json) )", command) is not None
        seen = ""

        def look() -> list[Names]:
            nonlocal seen
            seen = self.run(command)
            found = shown_as(example.answer, seen, names)
            return [] if found is None else [found]

        what = f"{self.directory.name}/README.md:{example.line}: {command}"
        try:
            return eventually(look, what, LOOK_SECONDS if only_looks else 0.0)[0]
        except AssertionError as error:
            message = f"{error}\nas shown: {example.answer}\nanswered: {seen}"
            raise AssertionError(message) from None


def shown_as(shown: str, real: str, names: Names) -> Names | None:
    """Return the names that are known if this is shown so; None if it is not.

    Args:
        shown: What a page shows: JSON, the head of an HTTP answer, or any other text.
        real: What was answered.
        names: Those known so far.
    """
    if shown.startswith(("{", "[", "HTTP/")):
        return answers(shown, real, names)
    pattern = ".*".join(map(re.escape, shown.split(CUT)))
    return names if re.fullmatch(pattern, real.strip(), re.DOTALL) else None
