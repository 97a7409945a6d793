"""What the queue does for the application."""

from typing import TypedDict

from config import CURRENCY


class OrderData(TypedDict):
    """The data of a task, which is what the application was sent."""

    customer: str
    cents: list[int]


def invoice(order: OrderData) -> dict[str, str]:
    """Make the invoice for an order."""
    total = sum(order["cents"])
    return {"to": order["customer"], "total": f"{total // 100}.{total % 100:02} {CURRENCY}"}
