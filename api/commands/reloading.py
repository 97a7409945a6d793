"""`task-queue serve --reload`: a server that starts again when the user's files change.

For development. The server is a process of its own, so that each start is one like any other: with
modules, threads and processes that are new.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path

from task_queue.config import logs
from task_queue.config.actions import PythonSettings
from task_queue.config.layers import Loaded
from task_queue.config.logger import get_logger
from task_queue.config.settings import Settings, SettingsError

LOOK_SECONDS = 0.3
"""How often the files are looked at: a millisecond for a hundred of them."""
END_SECONDS = 15.0
"""How long a server may take to end, beyond which it is killed."""
DRAIN_SECONDS = 1.0
"""How long running tasks may take to finish before a new start; then they are given back."""
MAX_FILES = 5_000
"""How many files are watched at most."""
_INSTALLED = {"site-packages", "dist-packages"}
_STDLIB = get_path("stdlib")
_PR_SET_PDEATHSIG = 1
"""Of prctl(2): which signal this process gets when its parent ends."""
_SKIPPED = {"__pycache__", "node_modules", *_INSTALLED}

_log = get_logger()

State = Mapping[Path, tuple[int, int]]
"""Each file to the time of its last change, in ns, and its size."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched.

    Attributes:
        folders: Their Python files, and those in folders below.
        files: What else.
    """

    folders: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    def state(self) -> State:
        """Return the files as they are now."""
        state = {}
        for path in self._paths():
            try:
                found = path.stat()
            except OSError:  # gone meanwhile
                continue
            state[path] = found.st_mtime_ns, found.st_size
            if len(state) == MAX_FILES:
                break
        return state

    def _paths(self) -> Iterator[Path]:
        yield from self.files
        for folder in self.folders:
            for name, below, names in os.walk(folder):
                directory = Path(name)
                below[:] = [each for each in below if _is_watched(directory / each)]
                yield from (directory / each for each in names if each.endswith(".py"))


def _is_watched(folder: Path) -> bool:
    is_hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return not is_hidden and not (folder / "pyvenv.cfg").exists()


def watched(directory: Path, config: Path | None, settings: Settings | None) -> Watched:
    """Return what a server is made of that its user may change.

    Args:
        directory: Where the server runs.
        config: Its file of settings.
        settings: What is in force; None: that is wrong, and has to be changed.
    """
    folders, files = [directory], [] if config is None else [config]
    targets = [] if settings is None else list(settings.actions.values())
    for target in targets:
        if not isinstance(target, PythonSettings):
            continue
        spec = find_spec(target.python.partition(":")[0].partition(".")[0])
        found = () if spec is None else spec.submodule_search_locations or (spec.origin or "",)
        for path in map(Path, found):
            is_theirs = not _INSTALLED & set(path.parts) and not path.is_relative_to(_STDLIB)
            if is_theirs and path.exists() and not path.is_relative_to(directory):
                (folders if path.is_dir() else files).append(path)
    return Watched(tuple(dict.fromkeys(folders)), tuple(dict.fromkeys(files)))


def serve_again(config: Path | None, overrides: Sequence[str], read: Callable[[], Loaded]) -> int:
    """Serve until Ctrl-C or SIGTERM, and anew after each change; return the exit code.

    Args:
        config: The file of settings.
        overrides: As of `--set`.
        read: Reads the settings, and sets the log up as they say.
    """
    settings = None
    try:
        settings = read().settings
    except SettingsError:  # the server says what is wrong, and the next save may mend it
        logs.configure("auto", "info")
    file = [] if config is None else ["--config", str(config)]
    drain = f"shutdown.drain_seconds={DRAIN_SECONDS:g}"
    each = (part for override in (drain, *overrides) for part in ("--set", override))
    return Reloading(["serve", *file, *each], watched(Path.cwd(), config, settings)).run()


class Reloading:
    """Runs a server until it is to end, and anew after each change of a file."""

    def __init__(self, arguments: Sequence[str], what: Watched) -> None:
        """Store what to run and what to watch.

        Args:
            arguments: Those of `task-queue`.
            what: The files.
        """
        self._command = [sys.executable, "-m", "task_queue", *arguments]
        self._watched = what
        self._heard: list[int] = []

    def run(self) -> int:
        """Return the exit code of the last server, when a signal has ended it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._heard.append(number))
        while True:
            state = self._watched.state()
            # In a group of its own, or Ctrl-C in a terminal would come to it twice, and end it.
            server = subprocess.Popen(  # noqa: S603 - ours
                self._command,
                process_group=0,
                preexec_fn=_ended_with(os.getpid()),  # noqa: PLW1509 - one call that takes no lock
            )
            changed = self._changed(server, state)
            if changed is None:
                return _shown(server.wait())
            _log.info("files have changed, starting again", files=changed)
            code = _end(server)
            if self._heard:
                return code

    def _changed(self, server: "subprocess.Popen[bytes]", state: State) -> list[str] | None:
        """Wait until files are not as in this state; return which; None: the server has ended.

        One that ended by itself, as one that cannot import a module, is not started again before
        there is a change.
        """
        is_ending = has_told = False
        while True:
            time.sleep(LOOK_SECONDS)
            code = server.poll()
            while self._heard:
                number = self._heard.pop(0)
                # At a hang-up a server reads its settings again, or ends if its terminal is gone.
                is_ending = is_ending or number != signal.SIGHUP or code is not None
                if code is None:
                    server.send_signal(number)
            if code == 0 or (code is not None and is_ending):
                return None
            if code is not None and not has_told:
                has_told = True
                _log.warning("not running, starts again when a file changes", exit_code=code)
            if not is_ending and self._watched.state() != state:
                return self._once_quiet(state)

    def _once_quiet(self, state: State) -> list[str]:
        """Return which files have changed, once no more do: editors write in several steps."""
        now = self._watched.state()
        while (before := now) != state:
            time.sleep(LOOK_SECONDS)
            now = self._watched.state()
            if now == before:
                break
        return sorted({str(path) for path, _ in set(state.items()) ^ set(now.items())})


def _ended_with(parent: int) -> Callable[[], None] | None:
    """Return what lets a child get SIGTERM when this process ends, by SIGKILL, too; None: nothing.

    What Linux alone has. It calls one function of C that is found beforehand, so it does no harm
    between fork and exec.
    """
    if sys.platform != "linux":
        return None
    return partial(_end_with_parent, ctypes.CDLL(None).prctl, parent)


def _end_with_parent(prctl: Callable[[int, int], int], parent: int) -> None:
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it had ended before that
        os._exit(1)


def _end(server: "subprocess.Popen[bytes]") -> int:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        return _shown(server.wait(END_SECONDS))
    except subprocess.TimeoutExpired:
        server.kill()
        return _shown(server.wait())


def _shown(code: int) -> int:
    return code if code >= 0 else 128 - code  # the shell's convention for death by signal
