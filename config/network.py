"""The sections of the settings that concern who reaches the service, and how."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator

from task_queue.config.actions import Network, Secrets
from task_queue.config.names import URL_PREFIX_RULE, Name, is_url_prefix, one_line
from task_queue.config.sections import Frozen, Section, listed

ScopeName = Literal["publish", "read", "work", "operate", "admin"]
"""What a key may be for."""


def _host_name(name: str) -> str:
    if not re.fullmatch(r"\.?[a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.]+\]", name.lower()):
        message = (
            "must be a name or an address without scheme and port,"
            " or a name with a dot in front for all names below it"
        )
        raise ValueError(message)
    return name


def _prefix(path: str) -> str:
    if not is_url_prefix(path):
        message = f"must be {URL_PREFIX_RULE}"
        raise ValueError(message)
    return path


def _proxy(text: str) -> str:
    if text != "unix":
        try:
            ip_network(text)
        except ValueError:
            message = "must be an address, a network as 10.1.0.0/16 or fd00::/8, or unix"
            raise ValueError(message) from None
    return text


class HttpSettings(Section):
    """Where the API listens and how much it takes at once."""

    host: Annotated[str, AfterValidator(one_line)] = Field(min_length=1)
    """Address to listen on; `0.0.0.0` is every interface. Beyond loopback requests need a key: see
    `auth.mode`."""

    port: int = Field(ge=0, le=65535)
    """TCP port; 0 takes any free one."""

    allowed_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_host_name)], ...], BeforeValidator(listed)
    ]
    """Names by which clients ask for this server besides `localhost` and `http.host`, as a proxy,
    Compose or Kubernetes gives it: `tasks.example.com`; `.example.com` is every name below. In the
    environment they are separated by commas. A request for another name is refused with 421."""

    threads: int = Field(ge=1, le=512)
    """Threads that answer requests. A listing occupies one while the database is read; a publish
    that waits for its commit occupies none. One of several is for publishes and `/healthz` only."""

    max_connections: int = Field(ge=1, le=10_000)
    """Open connections; further ones wait to be accepted. When 19 of 20 places are taken, idle and
    then slow connections are closed to make room. Each costs a file descriptor."""

    max_body_bytes: int = Field(ge=1024, le=104_857_600)
    """Bytes in a request body; more is answered with 413. Bodies are held in memory, so large data
    belongs elsewhere and its address in the task."""

    answer_timeout_seconds: float = Field(gt=0, le=60)
    """Seconds a request waits for the actors; then the answer is 503 and the outcome unknown."""

    idle_timeout_seconds: int = Field(ge=1, le=3600)
    """Seconds without a request after which a connection is closed, to free its place."""

    head_timeout_seconds: int = Field(ge=1, le=3600)
    """Seconds that the head of a request may take to come in; then it is answered with 408."""

    body_timeout_seconds: int = Field(ge=1, le=3600)
    """Seconds that the body of a request may take to come in, all of it; then it is answered with
    408. With larger bodies over slow lines it has to be more."""

    send_timeout_seconds: int = Field(ge=1, le=3600)
    """Seconds that a client may take to read an answer; then the connection is reset."""

    max_wait_seconds: int = Field(ge=0, le=3600)
    """Seconds that a request may wait for its task's end, or for work (`Prefer: wait=20`); one that
    asks for more waits so long. No thread is held meanwhile, but a connection is."""

    socket: Annotated[str, AfterValidator(one_line)]
    """A Unix socket to listen on, in place of host and port: the path of the file, which user and
    group of the process may reach. Empty: none."""

    url_prefix: Annotated[str, AfterValidator(_prefix)]
    """What all URLs begin with, `/healthz` too, as `/queue`; empty: nothing. For a proxy that
    passes them on as they are; one that takes it off says so in `X-Forwarded-Prefix`."""

    trusted_proxies: Annotated[
        tuple[Annotated[str, AfterValidator(_proxy)], ...], BeforeValidator(listed)
    ]
    """The proxies in front of this server, as addresses or networks; `unix` is whoever connects to
    `http.socket`. What they say in `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` is believed;
    of anybody else it is ignored."""


def _are_some(scopes: tuple[ScopeName, ...]) -> tuple[ScopeName, ...]:
    """Return the scopes; a limit of the field would count a wrong one as absent, and tell of it."""
    if not scopes:
        message = f"must have one or more of {', '.join(get_args(ScopeName))}"
        raise ValueError(message)
    return scopes


class KeySettings(Section):
    """A key of the settings, for those who keep secrets elsewhere than in the database."""

    key: SecretStr
    """The key: at least 32 visible ASCII characters, drawn at random."""

    scopes: Annotated[tuple[ScopeName, ...], BeforeValidator(listed), AfterValidator(_are_some)]
    """What it may do; `admin` is all of it."""

    queues: Annotated[tuple[Name, ...] | None, BeforeValidator(listed)] = None
    """Which queues that is restricted to; not set: all."""

    @field_validator("key")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[!-~]{32,256}", value.get_secret_value()):
            message = "must have 32 to 256 visible ASCII characters"
            raise ValueError(message)
        return value


class AuthSettings(Section):
    """Who may ask this server for what."""

    mode: Literal["auto", "keys", "open"]
    """Whether a request needs a key. `auto`: unless the server listens on loopback, or on a Unix
    socket, only; elsewhere it does not start before there is a key. `keys`: always. `open`:
    never."""

    keys_file: Annotated[str, AfterValidator(one_line)]
    """A TOML file with further keys, a table for each; it is read again when it changes. Empty:
    none."""

    rate_limit: float = Field(ge=0, le=100_000)
    """Requests per second that a key may make of one node; 0: any number. Beyond it the answer is
    429."""

    rate_burst: int = Field(ge=1, le=100_000)
    """How many requests a key that has paused may make at once."""

    keys: Frozen[Name, KeySettings]
    """Keys by name, besides those of `task-queue keys create`."""


class CallbackSettings(Section):
    """How it is told that a task is finished."""

    secret: Secrets
    """Signs what is told, as Standard Webhooks: `whsec_` and Base64 of 24 to 64 bytes. Several sign
    each, so that a new one can follow an old one. With none, no task may have a callback, and there
    is no queue `callbacks`. That queue tries each 20 times unless its own table says otherwise; all
    else is as of any queue."""

    allow_networks: Annotated[tuple[Network, ...], BeforeValidator(listed)]
    """Networks that are not public and may be called all the same, as `10.1.0.0/16`."""


class UiSettings(Section):
    """The dashboard."""

    enabled: bool
    """Whether there is one, at `/ui/`."""

    session_seconds: int = Field(ge=60, le=2_592_000)
    """Seconds after which somebody who has logged in has to do so again, at most 30 days."""


class MetricsSettings(Section):
    """Who may read the metrics."""

    open: bool
    """Whether `/metrics` takes no key; otherwise it takes one with the scope `read`."""

    native_histograms: bool
    """Whether waits and runs are counted as native histograms besides, for scrapers that accept
    OpenMetrics 2.0: `Accept: application/openmetrics-text; version=2.0.0`."""


class TraceSettings(Section):
    """Spans of publishes and runs, by OpenTelemetry."""

    enabled: bool
    """Whether they are sent, to where OpenTelemetry's variables say. Needs the extra `otel`."""
