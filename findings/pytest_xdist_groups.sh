#!/usr/bin/env bash
# pytest-xdist: under pytest 9.2 `--dist loadgroup` spreads the tests of one group over all workers.
#
# The mark `xdist_group` sends the tests of a group to the same worker, which runs their session
# fixtures once. With pytest 9.1 it does; with pytest 9.2 every worker takes some of them, without a
# warning, and each runs the fixtures anew.
#
# Seen with pytest-xdist 3.8.0 on Python 3.11.7, six tests of one group and three workers:
#   pytest 9.1.1: 1 worker(s)
#   pytest 9.2.0: 3 worker(s)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/test_group.py" <<'PYTHON'
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("one")


@pytest.mark.parametrize("number", range(6))
def test_each(number, worker_id):
    Path(__file__).with_name(f"{worker_id}.seen").touch()
    time.sleep(0.3)  # or one worker could have done all before the next has started
PYTHON
for expected in "9.1.1 1" "9.2.0 3"; do
    read -r version workers <<<"$expected"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
        "pytest==$version" pytest-xdist==3.8.0
    rm -f "$folder"/*.seen
    (cd "$folder" && venv/bin/python -m pytest -q -n 3 --dist loadgroup test_group.py >/dev/null)
    seen=$(find "$folder" -name '*.seen' | wc -l)
    echo "pytest $version: $seen worker(s)"
    ((seen == workers))
done
