"""What the URL of a PostgreSQL database may say, and what is refused by its name."""

import pytest

from task_queue.config import postgresql_url
from task_queue.config.layers import load
from task_queue.config.settings import SettingsError

SERVER = "postgresql://u@h/db"


@pytest.mark.parametrize(
    "url",
    [
        SERVER,
        "postgresql:///db?host=/run/postgresql",
        "postgresql://u:p%40ss@one:1,two:2/db?target_session_attrs=read-write",
        "postgresql://u@[::1]:5432/db?sslmode=require&application_name=mine&connect_timeout=3",
        f"{SERVER}?options=-csearch_path%3Dtq%20--work-mem%3D8MB",
    ],
)
def test_what_libpq_knows_may_be_said(url: str) -> None:
    assert load(overrides=[f"database.url={url}"], environ={}).settings.database.url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"{SERVER}?sslmod=require", 'invalid URI query parameter: "sslmod"'),
        (f"{SERVER}?host=a&host=b", "has the parameter host twice"),
        (f"{SERVER}?client_encoding=latin1", "must not have the parameter client_encoding"),
        (f"{SERVER}?replication=database", "must not have the parameter replication"),
        (f"{SERVER}?target_session_attrs=standby", "must not have target_session_attrs=standby"),
        (f"{SERVER}?connect_timeout=0", "must not have connect_timeout=0"),
        (f"{SERVER}?connect_timeout=soon", "must not have connect_timeout=soon"),
        (f"{SERVER}?options=-clock_timeout%3D5", "must not set lock_timeout in its options"),
        (f"{SERVER}?options=-cTimeZone%3DCET", "must not set TimeZone in its options"),
        (
            f"{SERVER}?options=-cclient_encoding%3Dlatin1",
            "must not set client_encoding in its options",
        ),
        (
            f"{SERVER}?options=-ctransaction_read_only%3Don",
            "must not set transaction_read_only in its options",
        ),
        (f"{SERVER}?options=-e", "has options that are not understood: -e"),
        ("sqlite:///tasks.db?mode=ro", "must have no parameter mode"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(url: str, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(overrides=[f"database.url={url}"], environ={})
    assert problem in str(refused.value)


def test_a_password_that_is_not_encoded_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match="write %25") as refused:
        load(overrides=["database.url=postgresql://u:sec%ret@h/db"], environ={})
    assert "sec" not in str(refused.value)


def test_options_are_settings_by_name() -> None:
    url = f"{SERVER}?options=-c%20search_path%3Dtq,%5C%20public%20--work-mem%3D8MB"
    assert postgresql_url.options(url) == {"search_path": "tq, public", "work_mem": "8MB"}
    assert postgresql_url.options(SERVER) == {}
