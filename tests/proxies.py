"""Starts nginx or Caddy with a configuration of a page, on a free port of loopback."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import eventually, free_port

NGINX = """
daemon off;
{user}
pid nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include conf.d/*.conf;
}}
"""
"""What surrounds a configuration: nothing leaves the folder, and the worker may read it."""

CADDY = """
{
    admin off
    auto_https disable_redirects
    default_bind 127.0.0.1
}
"""


@contextmanager
def nginx(directory: Path, files: Mapping[str, str]) -> Iterator[int]:
    """The port of an nginx; skips the test where there is none.

    Args:
        directory: Where it keeps all it has.
        files: Its configuration by the names of the files below `/etc/nginx`, for port 443.
    """
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(NGINX.format(user=user))
    for name, text in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text.replace("listen 443 ", f"listen 127.0.0.1:{port} "))
    command = ["nginx", "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")]
    with _running(command, port, directory):
        yield port


@contextmanager
def caddy(directory: Path, text: str, name: str) -> Iterator[int]:
    """The port of a Caddy; skips the test where there is none.

    Args:
        directory: Where it keeps all it has.
        text: Its configuration.
        name: What its only site is called there.
    """
    port = free_port()
    (directory / "Caddyfile").write_text(CADDY + text.replace(f"{name} {{", f"{name}:{port} {{"))
    command = ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
    with _running(command, port, directory):
        yield port


@contextmanager
def _running(command: Sequence[str], port: int, directory: Path) -> Iterator[None]:
    # Debian keeps nginx where only root looks.
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if (program := shutil.which(command[0], path=path)) is None:
        pytest.skip(f"install {command[0]}")
    home = {name: str(directory) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    log = directory / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, *command[1:]], cwd=directory, env=os.environ | home, stderr=output
        )
    try:
        eventually(lambda: _listens(port) or process.poll() is not None, f"{command[0]} listens")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
