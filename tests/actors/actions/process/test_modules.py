"""Modules of the user's named like the library's or like ours do no harm in a process."""

import subprocess
import sys
from pathlib import Path

import pytest

NOT_OURS = "raise ImportError('this is not the module of the library')\n"
JOBS = """
import types_
from actors import stage
from config import GREETING
from tests import helper

def hello(data: types_.Person) -> str:
    return f"{GREETING} {helper.title(data.name)} on {stage.NAME}"
"""
FILES = {
    "json.py": NOT_OURS,
    "queue.py": NOT_OURS,
    "types_.py": "import dataclasses\n@dataclasses.dataclass\nclass Person:\n    name: str\n",
    "config.py": "GREETING = 'hello'\n",
    "api/__init__.py": "",
    "api/jobs.py": JOBS,
    "actors/__init__.py": "",
    "actors/stage.py": "NAME = 'stage'\n",
    "tests/__init__.py": "",
    "tests/helper.py": "title = str.title\n",
    "tq.toml": '[actions.hello]\npython = "api.jobs:hello"\nexecution = "process"\n',
}
COMMAND = ["-m", "task_queue", "run", "hello", "--config", "tq.toml", "--data", '{"name": "jo"}']
# As pytest does, after it has started: the folder of the tests comes before all others.
IN_FRONT = """
import json, sys
from task_queue.testing import run_inline
sys.path.insert(0, sys.argv[1])
with run_inline("tq.toml") as queue:
    print(json.dumps(queue.publish("hello", {"name": "jo"}).result))
"""


@pytest.mark.parametrize("how", ["run", "run_inline"])
def test_a_users_modules_are_found_and_take_the_place_of_no_other(how: str, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    options = {"run": COMMAND, "run_inline": ["-P", "-c", IN_FRONT, str(tmp_path)]}[how]
    result = subprocess.run(
        [sys.executable, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, '"hello Jo on stage"\n'), result.stderr
