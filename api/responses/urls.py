"""The one place that knows where the service's URLs begin."""

_prefix = ""


def begin_with(prefix: str) -> None:
    """Let all URLs of this process begin so: what a proxy puts in front, as in `/queue`.

    A process serves under one prefix, which is known before its first answer and stays.
    """
    global _prefix  # noqa: PLW0603 - answers are made in many places, some without a request
    _prefix = prefix.rstrip("/")


def url(path: str) -> str:
    """Return the URL reference by which clients find this path of ours."""
    return f"{_prefix}{path}"
