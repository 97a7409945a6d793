"""Settings as a test has them: of overrides, a file and variables, and of nothing else."""

from pathlib import Path

import pytest

from task_queue.config.layers import Loaded, load
from task_queue.config.settings import SettingsError


def loaded(*overrides: str, file: Path | None = None, **environ: str) -> Loaded:
    """What comes of these layers."""
    return load(file, overrides, environ)


def refusal(*overrides: str, file: Path | None = None, **environ: str) -> str:
    """What these layers are refused with."""
    with pytest.raises(SettingsError) as caught:
        load(file, overrides, environ)
    return str(caught.value)
