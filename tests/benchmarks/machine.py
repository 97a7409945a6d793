"""What the figures were measured on."""

import os
import platform
import sqlite3
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

_SYNCS = 200
_SYNC_BYTES = 4_096


def describe() -> dict[str, str]:
    """The machine and what runs on it, a line each."""
    return {
        "CPU": _proc("cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int((_proc('meminfo', 'MemTotal') or '0').split()[0]) / 1024**2:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "fsync of 4 KiB appended": f"{_fsync_seconds() * 1e3:.2f} ms (median of {_SYNCS})",
    }


def _proc(file: str, key: str) -> str | None:
    """The value of the first line with this key in a file of /proc."""
    for line in Path("/proc", file).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _fsync_seconds() -> float:
    """How long the disk under the temporary directory takes to make a small write durable."""
    took = []
    with TemporaryFile(buffering=0) as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(bytes(_SYNC_BYTES))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took)
