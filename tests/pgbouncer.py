"""Starts a PgBouncer in front of a test's database."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.harness import eventually, free_port

CONFIG = """
[databases]
{dbname} = host={host} port={port} dbname={dbname} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
auth_type = any
pool_mode = {mode}
default_pool_size = 3
ignore_startup_parameters = {ignored}
unix_socket_dir =
"""


@contextmanager
def running(url: str, mode: str, ignored: str) -> Iterator[int]:
    """The port of a PgBouncer; skips the test where there is none.

    Args:
        url: The database's.
        mode: Its `pool_mode`.
        ignored: Its `ignore_startup_parameters`.
    """
    if shutil.which("pgbouncer") is None:
        pytest.skip("install pgbouncer")
    listen = free_port()
    with TemporaryDirectory() as directory:
        config = Path(directory, "pgbouncer.ini")
        config.write_text(
            CONFIG.format(**conninfo_to_dict(url), listen=listen, mode=mode, ignored=ignored)
        )
        Path(directory).chmod(0o755)
        process = subprocess.Popen(
            ["pgbouncer", "--quiet", str(config)],
            user="postgres" if os.geteuid() == 0 else None,  # it refuses to run as root
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: _listens(listen), "PgBouncer listens")
            yield listen
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
