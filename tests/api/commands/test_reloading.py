"""`task-queue serve --reload`: a change of the user's files is what runs next."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from task_queue.api.commands.reloading import Watched, watched
from task_queue.config.layers import load
from tests.harness import DEADLINE_SECONDS, ROOT, START_SECONDS, eventually, free_port

ACTION = "from shop.price import PRICE\n\n\ndef price(data):\n    return {'price': PRICE}\n"


class Developed:
    """A server in development, and the folder of its user."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.price = directory / "shop" / "price.py"
        self.settings = directory / "shop.toml"
        self.log = directory / "log"
        self.price.parent.mkdir()
        (self.price.parent / "orders.py").write_text(ACTION)
        self.price.write_text("PRICE = 1\n")
        self.settings.write_text(
            f"[http]\nport = {self.port}\n[actions.price]\npython = 'shop.orders:price'\n"
            "execution = 'process'\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[psutil.Process]:
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "task_queue", "serve", "--reload", "--config=shop.toml"],
                cwd=self.settings.parent,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            self.code = process.wait(DEADLINE_SECONDS)

    def answers(self, price: int) -> None:
        """Wait until that is the result of a task."""

        def look() -> bool:
            with suppress(httpx.TransportError):
                answer = httpx.post(
                    f"http://127.0.0.1:{self.port}/tasks",
                    json={"action": "price"},
                    headers={"Prefer": "wait=20"},
                )
                return bool(answer.json().get("result") == {"price": price})
            return False

        eventually(look, f"a price of {price}; {self.log.read_text()}", START_SECONDS)

    def says(self, text: str) -> None:
        """Wait until that is in the log."""
        eventually(lambda: text in self.log.read_text(), text, START_SECONDS)


@pytest.mark.system
@pytest.mark.timeout(300)
def test_each_save_is_what_runs_next_and_a_mistake_is_one_line(tmp_path: Path) -> None:
    developed = Developed(tmp_path)
    with developed.running() as parent:
        developed.answers(1)
        developed.price.write_text("PRICE = 22\n")
        developed.answers(22)
        developed.price.write_text("PRICE = (\n")
        developed.says("cannot be imported: SyntaxError: '(' was never closed (price.py, line 1)")
        developed.says("not running, starts again when a file changes")
        developed.price.write_text("PRICE = 333\n")
        developed.answers(333)
        right = developed.settings.read_text()
        developed.settings.write_text(f"{right}wrong = 1\n")
        developed.says("actions.price.wrong")
        developed.settings.write_text(right)
        developed.answers(333)
        all_of_it = [parent, *parent.children(recursive=True)]
        assert len(all_of_it) > 2  # a server, and the process of the action
        parent.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(all_of_it, DEADLINE_SECONDS)
        assert alive == []
    assert developed.code == 0
    assert "Traceback" not in developed.log.read_text()
    # Once for each change, and not more.
    assert developed.log.read_text().count("files have changed") == 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of that")
def test_a_server_ends_with_what_started_it_also_after_sigkill(tmp_path: Path) -> None:
    developed = Developed(tmp_path)
    with developed.running() as process:
        developed.answers(1)
        [server] = process.children()
        process.kill()
        assert psutil.wait_procs([server], DEADLINE_SECONDS) == ([server], [])


def test_what_is_watched_is_what_the_user_writes(tmp_path: Path) -> None:
    names = ("a.py", "b/c.py", ".venv/d.py", "env/e.py", "__pycache__/f.py", "g.txt", "x.toml")
    for name in (*names, "env/pyvenv.cfg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    seen = Watched((tmp_path,), (tmp_path / "x.toml", tmp_path / "gone.toml")).state()
    assert {str(path.relative_to(tmp_path)) for path in seen} == {"a.py", "b/c.py", "x.toml"}


def test_a_package_of_an_action_elsewhere_is_watched_unless_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere" / "their_jobs"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(elsewhere.parent))
    here = tmp_path / "here"
    targets = ("their_jobs:run", "httpx:get", "json:dumps", "not_there:run")
    overrides = [f"actions.a{n}.python={target}" for n, target in enumerate(targets)]
    settings = load(overrides=overrides, environ={}).settings
    found = watched(here, here / "x.toml", settings)
    assert found == Watched((here, elsewhere), (here / "x.toml",))
    assert watched(here, None, None) == Watched((here,))
