"""The whole way from an order to its invoice, without a server: `python -m pytest`."""

from collections.abc import Iterator

import falcon.testing
import httpx
import pytest
from task_queue.client import Client, Patience
from task_queue.testing import InlineQueue, run_inline

from api.app import create_app

UNKNOWN = "01a21c3f-0001-7000-8000-000000000001"

Browser = falcon.testing.TestClient


@pytest.fixture(autouse=True)
def queue() -> Iterator[InlineQueue]:
    with run_inline("tq.toml") as queue:
        yield queue


@pytest.fixture
def app() -> Iterator[Browser]:
    with Client() as client:  # in the block of `queue` that answers it, wherever it thinks it is
        yield Browser(create_app(client))


def test_an_order_gets_an_invoice(app: Browser, queue: InlineQueue) -> None:
    taken = app.simulate_post("/orders", json={"customer": "Ada", "cents": [1999, 501]})
    assert taken.status_code == 202
    assert [task.action for task in queue.published] == ["invoice"]
    shown = app.simulate_get(taken.headers["Location"])
    assert shown.json["state"] == "completed"
    assert shown.json["invoice"] == {"to": "Ada", "total": "25.00 EUR"}


def test_an_order_without_a_customer_is_refused(app: Browser, queue: InlineQueue) -> None:
    refused = app.simulate_post("/orders", json={"cents": [1]})
    assert refused.status_code == 400
    assert refused.json["description"] == "data.customer: is missing"
    assert queue.published == []


def test_an_unknown_order_is_not_found(app: Browser) -> None:
    assert app.simulate_get(f"/orders/{UNKNOWN}").status_code == 404


def test_without_the_queue_the_application_says_so() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    nobody, impatient = httpx.MockTransport(refuse), Patience(deadline_seconds=0)
    with Client(transport=nobody, patience=impatient) as client:
        app = Browser(create_app(client))
        assert app.simulate_get(f"/orders/{UNKNOWN}").status_code == 503
