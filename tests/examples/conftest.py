"""Fixtures of the examples."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """Copies an example by its name."""
    return lambda name: Project(name, tmp_path)
