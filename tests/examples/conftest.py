"""Fixtures of the examples."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """Copies an example by its name."""
    return lambda name: Project(name, tmp_path)


@pytest.fixture
def curl() -> str:
    """The program that the pages use, or a skip."""
    path = shutil.which("curl")
    options = [path or "true", "--help", "all"]
    if "--json" not in subprocess.run(options, capture_output=True, text=True, check=False).stdout:
        pytest.skip("there is no curl, or one older than 7.82")
    return str(path)
