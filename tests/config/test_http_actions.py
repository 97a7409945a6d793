"""What the settings say of actions that send requests."""

import base64
import json
from typing import Any

import pytest

from task_queue.config.actions import HttpActionSettings, statuses
from task_queue.config.layers import load
from task_queue.config.settings import SettingsError

SECRETS = [f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in range(6)]


def hook(**keys: Any) -> HttpActionSettings:  # noqa: ANN401 - any value
    texts = {"http": "http://a/"} | keys
    overrides = [f"actions.hook.{key}={each}" for key, each in texts.items()]
    action = load(overrides=overrides, environ={}).settings.actions
    assert isinstance(action["hook"], HttpActionSettings)
    return action["hook"]


def as_list(*texts: str) -> str:
    return json.dumps(texts)


def test_an_address_with_a_blank_in_its_host_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="must be an address that begins with http://"):
        hook(http="http://exam ple.com/")
    assert hook(http="http://example.com/a b").http == "http://example.com/a b"


def test_one_secret_is_a_list_of_one_and_several_sign_each() -> None:
    assert hook().secret == ()
    assert [each.get_secret_value() for each in hook(secret=SECRETS[0]).secret] == SECRETS[:1]
    both = hook(secret=as_list(*SECRETS[:2])).secret
    assert [each.get_secret_value() for each in both] == SECRETS[:2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("whsec_bm90", "must be whsec_ and Base64 of 24 to 64 bytes"),
        (as_list(SECRETS[0], "bm90"), "must be whsec_ and Base64 of 24 to 64 bytes"),
        (as_list(*SECRETS), "may have at most 5, not 6"),
        ('{a = "bm90"}', "must be a list"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_shown(wrong: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        hook(secret=wrong)
    assert said in str(error.value)
    assert "bm90" not in str(error.value)
    assert SECRETS[0] not in str(error.value)


def test_retried_are_the_statuses_that_say_so_unless_others_are_named() -> None:
    retried = statuses(hook().retry_statuses)
    assert {408, 425, 429, 500, 503, 599} <= retried
    assert not {400, 404, 409, 302} & retried
    assert statuses(hook(retry_statuses='["409", "3xx"]').retry_statuses) == {409, *range(300, 400)}
    assert not statuses(hook(retry_statuses="[]").retry_statuses)


@pytest.mark.parametrize("wrong", ["[200]", '["2xx"]', '["5x"]', "[5000]", "[-1]", "[true]"])
def test_what_is_no_status_to_be_retried_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"actions\.hook\.retry_statuses.*like 409 or 5xx"):
        hook(retry_statuses=wrong)
