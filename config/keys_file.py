"""The file of `auth.keys_file`: keys in the form that the settings have them in."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from pydantic import TypeAdapter, ValidationError

from task_queue.config.names import Name
from task_queue.config.problems import described
from task_queue.config.settings import KeySettings, Settings, SettingsError
from task_queue.config.toml import read_toml

_KEYS = TypeAdapter(dict[Name, KeySettings])


def read_keys(path: Path) -> Mapping[str, KeySettings]:
    """Return the keys in the file, by name.

    Raises:
        SettingsError: It cannot be read, or something in it is wrong; one line for each problem.
    """
    # It is read again and again, by threads that answer requests: a pipe would hold them up.
    with suppress(OSError):  # which reading it puts into words
        if not S_ISREG(path.stat().st_mode):
            message = f"auth.keys_file {path}: is no regular file, which can be read again"
            raise SettingsError(message)
    values = read_toml(path, "auth.keys_file")
    try:
        return _KEYS.validate_python(values)
    except ValidationError as error:
        origins = {"auth.keys": f"file {path}"}
        wrong = error.errors()
        for each in wrong:
            each["loc"] = ("auth", "keys", *each["loc"])
        problems = [described(each, Settings, origins) for each in wrong]
        raise SettingsError("\n".join(problems)) from None
