"""What a user's test does, without pytest."""

import sys

# As pytest does it: the project's own folder comes after what is installed.
sys.path.append(sys.path.pop(0))

from task_queue.testing import run_inline

with run_inline("tq.toml") as queue:
    for action in ("in_thread", "in_process", "of_config", "of_tests"):
        task = queue.publish(action, {"who": "me"})
        assert task.result == {"hi": "me"}, task
print("checked")
