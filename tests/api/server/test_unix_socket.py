"""The Unix socket: who may have its file, and for how long."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from task_queue.actors.errors import BootError
from task_queue.api.server.listener import is_loopback, refuse_handshakes
from task_queue.api.server.unix_socket import MAX_PATH_BYTES, UnixListener
from tests.api.answers import connection
from tests.harness import DEADLINE_SECONDS, ServerProcess

Serve = Callable[..., ServerProcess]


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory() as directory:  # the one of the test may have too long a path
        yield Path(directory, "run", "tq.sock")


@pytest.fixture
def dead(path: Path) -> Path:
    """The file of a server that was killed."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    return path


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def refusal(path: Path) -> str:
    with pytest.raises(BootError) as caught:
        UnixListener(path).close()
    return str(caught.value)


def test_the_owner_and_the_group_may_connect(path: Path) -> None:
    with UnixListener(path) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert connects(path)
        assert is_loopback(listener)


def test_what_a_dead_server_has_left_is_replaced(dead: Path) -> None:
    assert not connects(dead)
    with UnixListener(dead):
        assert connects(dead)


def test_what_a_living_server_has_is_not(path: Path) -> None:
    with UnixListener(path):
        detail = f"cannot listen on the Unix socket {path} (http.socket): another server"
        assert refusal(path).startswith(detail)
        assert connects(path)


def test_a_server_with_as_many_waiting_as_may_lives(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        assert "another server listens there" in refusal(path)


def test_a_file_that_is_no_socket_stays(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    assert refusal(path).endswith(": the file there is no socket")
    assert path.read_text() == "mine"


def test_a_link_is_not_followed(dead: Path) -> None:
    (link := dead.with_name("link")).symlink_to(dead)
    assert refusal(link).endswith(": the file there is no socket")
    assert dead.exists()


def test_a_path_that_is_too_long_is_refused(path: Path) -> None:
    long = path.with_name("x" * (MAX_PATH_BYTES - len(str(path.parent))))
    assert refusal(long).endswith(f": the path has more than {MAX_PATH_BYTES} bytes")
    with UnixListener(long.with_name(long.name[1:])) as listener:
        assert len(listener.getsockname()) == MAX_PATH_BYTES


def test_a_folder_that_cannot_be_made_is_refused(path: Path) -> None:
    path.parent.write_text("")
    assert refusal(path).endswith(": File exists")
    assert refusal(path.parent / "a" / "b").endswith(": Not a directory")


def test_a_socket_that_is_withdrawn_serves_who_has_come(path: Path) -> None:
    with UnixListener(path) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        refuse_handshakes(listener)
        assert not path.exists()
        listener.settimeout(DEADLINE_SECONDS)
        listener.accept()[0].close()


def test_only_its_own_file_is_removed(path: Path) -> None:
    with UnixListener(path) as first:
        path.unlink()
        with UnixListener(path):
            first.withdraw()
            assert connects(path)
    with UnixListener(path) as first:
        first.withdraw()
        with UnixListener(path):
            first.withdraw()  # again, at the end
            assert connects(path)


def test_of_many_that_start_at_once_on_a_dead_socket_one_has_it(dead: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from task_queue.actors.errors import BootError;"
        "from task_queue.api.server.unix_socket import UnixListener;"
        "sys.stdin.readline()\n"
        "try: listener = UnixListener(Path(sys.argv[1]))\n"
        "except BootError: print('no', flush=True)\n"
        "else: print('yes', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(dead)]
    pipe = subprocess.PIPE
    many = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(6)]
    for each in many:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.stdout.readline().strip() for each in many if each.stdout is not None]
    assert connects(dead)
    for each in many:
        each.communicate(timeout=DEADLINE_SECONDS)
    assert sorted(said) == [*["no"] * 5, "yes"]


@pytest.mark.system
def test_a_server_is_reached_by_its_socket_alone_and_removes_it_at_the_stop(
    serve: Serve, path: Path
) -> None:
    server = serve(f"http.socket={path}").start()
    task_id = server.publish("uppercase", text="x")
    server.wait_for_status(task_id, "completed")
    first, *_, example, _ = server.output
    assert first.split()[-1] == str(path)
    assert f"curl -X POST --unix-socket {path} http://localhost/tasks" in example
    assert server.terminate() == 0
    assert not path.exists()


@pytest.mark.system
def test_the_host_is_looked_at_on_a_socket_too(serve: Serve, path: Path) -> None:
    server = serve(f"http.socket={path}", "http.allowed_hosts=tasks.example").start()
    for host, status in {"localhost": 200, "tasks.example": 200, "evil.example": 421}.items():
        assert server.client.get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.system
def test_a_relative_path_begins_where_the_server_was_started(path: Path) -> None:
    (folder := path.parent).mkdir()
    (folder / "leads_away.py").write_text(
        "import os\nos.chdir('/')\ndef act(data: dict[str, object]) -> None: ...\n"
    )
    server = ServerProcess(folder, "http.socket=a/t.sock", 'actions.away="leads_away:act"')
    server.environ["PYTHONPATH"] += f"{os.pathsep}{folder}"
    try:
        server.start()
        assert server.client.get("/healthz").status_code == 200
        assert (folder / "a" / "t.sock").is_socket()
        assert server.terminate() == 0
        assert not (folder / "a" / "t.sock").exists()
    finally:
        server.close()


@pytest.mark.system
def test_a_second_server_is_refused_and_one_after_a_kill_takes_over(
    serve: Serve, path: Path
) -> None:
    first = serve(f"http.socket={path}").start()
    second = serve(f"http.socket={path}", "database.url=sqlite:///second.db").spawn()
    assert second.wait() == 1
    assert any("another server listens there" in line.get("text", "") for line in second.log)
    assert first.client.get("/healthz").status_code == 200
    first.kill()
    assert path.exists()
    third = serve(f"http.socket={path}").start()
    assert third.client.get("/healthz").status_code == 200


@pytest.mark.system
def test_idle_connections_make_room_on_a_socket_too(serve: Serve, path: Path) -> None:
    server = serve(f"http.socket={path}", "http.max_connections=10").start()
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connection(server))
        assert server.client.get("/healthz").status_code == 200


@pytest.mark.system
def test_a_process_that_an_action_forks_keeps_no_socket(
    serve: Serve, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "forks.py").write_text(
        "import os, signal\n"
        "def act(data: dict[str, object]) -> dict[str, int]:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        signal.pause()\n"
        "        os._exit(0)\n"
        '    return {"child": child}\n'
    )
    server = serve(f"http.socket={path}", 'actions.forks="forks:act"')
    server.environ["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    server.start()
    done = server.wait_for_status(server.publish("forks"), "completed")
    child = done["result"]["child"]
    try:
        assert server.client.get("/healthz").status_code == 200
        server.client.close()
        assert server.process is not None
        server.process.kill()
        server.process.wait(DEADLINE_SECONDS)
        assert not connects(path)
    finally:
        os.kill(child, signal.SIGKILL)
    server.wait()
