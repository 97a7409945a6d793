#!/usr/bin/env bash
# cronsim: a range of one value with a step, as `10-10/5`, fires as `10/5` does.
#
# Debian's cron, which cronsim follows, takes the range to its end: minute 10 alone. In cronsim a
# range whose ends are the same is a single value, and a step after a single value goes on to the end
# of the field.
#
# Seen with cronsim 2.8 on Python 3.11.7:
#   10-10/5: 10 15 20 25
#   10-11/5: 10 10 10 10
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cronsim==2.8
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime
from itertools import islice

from cronsim import CronSim


def minutes(field):
    times = CronSim(f"{field} * * * *", datetime(2026, 1, 1))
    return [moment.minute for moment in islice(times, 4)]


for field in ("10-10/5", "10-11/5"):
    print(f"{field}:", *minutes(field))
assert minutes("10-10/5") == [10, 15, 20, 25]
assert minutes("10-11/5") == [10, 10, 10, 10]
PYTHON
