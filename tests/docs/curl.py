"""The program that the pages use."""

import shutil
import subprocess

import pytest


def knows_json() -> bool:
    """Whether there is a curl that knows `--json`."""
    if (curl := shutil.which("curl")) is None:
        return False
    options = [curl, "--help", "all"]
    return "--json" in subprocess.run(options, capture_output=True, text=True, check=False).stdout


needs_curl = pytest.mark.skipif(not knows_json(), reason="there is no curl, or one older than 7.82")
