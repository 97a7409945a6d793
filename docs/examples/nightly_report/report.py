"""The sales of a day, per product, from a database of the shop into a CSV file."""

import csv
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from task_queue import RetryLater

SALES = Path("sales.db")
REPORTS = Path("reports")
ZONE = ZoneInfo("Europe/Berlin")

TOTALS = """
    SELECT product, sum(quantity), sum(quantity * cents)
    FROM sales WHERE day = ? GROUP BY product ORDER BY product
"""


@dataclass
class Period:
    """The data of a task; a schedule publishes none."""

    day: date | None = None


def report(period: Period) -> dict[str, object]:
    """Write the report of a day, or of yesterday."""
    day = period.day or datetime.now(ZONE).date() - timedelta(days=1)
    rows = totals(day)
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"{day}.csv"
    # Whoever reads it never sees half of it, and a second run only replaces it.
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="") as file:
        csv.writer(file).writerows([("product", "sold", "cents"), *rows])
    unfinished.replace(path)
    return {"file": str(path), "products": len(rows), "cents": sum(row[2] for row in rows)}


def totals(day: date) -> list[tuple[str, int, int]]:
    """Return product, number sold and revenue in cents.

    Raises:
        RetryLater: The database is not there at the moment. No attempt is counted.
    """
    if not SALES.exists():
        raise RetryLater(600, f"{SALES} is not there")
    with closing(sqlite3.connect(f"file:{SALES}?mode=ro", uri=True)) as database:
        return database.execute(TOTALS, [day.isoformat()]).fetchall()
