"""Makes a database with the sales of two days in January."""

import sqlite3
from contextlib import closing

SALES = [
    ("2026-01-30", "lamp", 1, 4900),
    ("2026-01-31", "chair", 4, 8900),
    ("2026-01-31", "lamp", 2, 4900),
    ("2026-01-31", "chair", 1, 7900),
]


def make_database() -> None:
    """Make it anew."""
    with closing(sqlite3.connect("sales.db")) as database, database:
        database.execute("DROP TABLE IF EXISTS sales")
        database.execute("CREATE TABLE sales (day TEXT, product TEXT, quantity INT, cents INT)")
        database.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", SALES)


if __name__ == "__main__":
    make_database()
