"""What a log may have of a URL."""

import pytest

from task_queue.api.responses.urls import without_lease

LEASE = "01a2a8d5-0001-7000-8000-000000000001.5e2aa22c24469276"


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        (f"/leases/{LEASE}/ack", "/leases/01a2a8d5-0001-7000-8000-000000000001.…/ack"),
        (f"/queue/leases/{LEASE}", "/queue/leases/01a2a8d5-0001-7000-8000-000000000001.…"),
        ("/leases/settle", "/leases/settle"),
        ("/tasks/a.b", "/tasks/a.b"),
    ],
)
def test_a_log_has_no_secret_of_a_lease(path: str, logged: str) -> None:
    assert without_lease(path) == logged
