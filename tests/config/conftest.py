"""A file of settings, for the tests of what reads it."""

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text("[http]\nport = 1\nthreads = 1\nmax_connections = 1\n")
    return path
