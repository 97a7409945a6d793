#!/usr/bin/env bash
# Python's sqlite3 module frees one page where `PRAGMA incremental_vacuum(100)` asks for a hundred.
#
# The pragma returns no columns and does its work step by step, a page a step. The module takes the
# first step of a statement without columns and no further one. APSW takes them all.
#
# Seen with Python 3.11.7 (SQLite 3.40.1) and APSW 3.50.4.0 (SQLite 3.50.4):
#   sqlite3 freed 1 of 100 pages
#   apsw freed 100 of 100 pages
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apsw==3.50.4.0
cat >"$folder/seen.py" <<'PYTHON'
import sqlite3
import sys

import apsw


def freed(connection):
    """How many free pages are gone after the pragma has asked for a hundred."""

    def ask(sql):
        return list(connection.execute(sql))

    ask("PRAGMA auto_vacuum = INCREMENTAL")
    ask("CREATE TABLE t (x)")
    ask(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO t SELECT zeroblob(1000) FROM n"
    )
    ask("DELETE FROM t")
    before = ask("PRAGMA freelist_count")[0][0]
    ask("PRAGMA incremental_vacuum(100)")
    return before - ask("PRAGMA freelist_count")[0][0]


one = freed(sqlite3.connect(f"{sys.argv[1]}/one.db", isolation_level=None))
all_of_them = freed(apsw.Connection(f"{sys.argv[1]}/all.db"))
print(f"sqlite3 freed {one} of 100 pages")
print(f"apsw freed {all_of_them} of 100 pages")
assert (one, all_of_them) == (1, 100)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py" "$folder"
