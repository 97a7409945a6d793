"""The files for systemd, containers and proxies are what they should be, as far as is told here.

No container is built and no cluster asked: that they are valid, agree with each other and with the
program, and that the commands in them work with a real server, is looked at.
"""

import json
import re
import shutil
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from task_queue.config.layers import load
from task_queue.config.settings import Settings
from tests.harness import ROOT, ServerProcess

DEPLOY = ROOT / "config" / "deploy"
UNIT = DEPLOY / "systemd" / "task-queue.service"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
COMPOSE = DEPLOY / "container" / "compose.yaml"
KUBERNETES = DEPLOY / "kubernetes" / "task-queue.yaml"
STARTS_OFF_SECONDS = 5.0
"""What a stop takes at most beyond `shutdown.drain_seconds`."""
MAX_EXPOSURE = 25
"""Of `systemd-analyze security`, in tenths."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="there is no systemd-analyze; in Debian: apt-get install systemd",
)


def settings_of(environ: dict[str, str]) -> Settings:
    return load(environ=environ).settings


def instructions() -> list[tuple[str, str]]:
    """The instructions of the container's file, each in one line."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


def image_environment() -> dict[str, str]:
    (env,) = [rest for name, rest in instructions() if name == "ENV"]
    return dict(part.split("=", 1) for part in env.split())


# --- systemd --------------------------------------------------------------------------------


@needs_systemd
def test_the_unit_is_exposed_to_little() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    done = subprocess.run(
        [*command, f"--threshold={MAX_EXPOSURE}", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/task-queue/bin/task-queue", "/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_gives_a_stop_the_time_that_the_defaults_need() -> None:
    timeout = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert timeout is not None
    assert int(timeout[1]) > settings_of({}).shutdown.drain_seconds + STARTS_OFF_SECONDS


# --- containers -----------------------------------------------------------------------------


def test_the_image_has_all_that_the_package_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {
        Path(each).parts[0] for each in project["tool"]["setuptools"]["package-dir"].values()
    }
    copied = {part for name, rest in instructions() if name == "COPY" for part in rest.split()[:-1]}
    assert folders | {"pyproject.toml", project["project"]["readme"], "LICENSE"} <= copied
    assert all((ROOT / each).exists() for each in copied if not each.startswith(("-", "/")))


def test_the_image_runs_as_a_user_and_its_settings_are_right() -> None:
    by_name = dict(instructions())
    assert by_name["USER"] == "10001:10001"
    environ = {k: v for k, v in image_environment().items() if k.startswith("TASK_QUEUE_")}
    settings = settings_of(environ)
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - its own network
    assert settings.database.url == f"sqlite:///{by_name['VOLUME']}/tasks.db"
    assert json.loads(by_name["CMD"]) == ["task-queue", "serve"]


@pytest.mark.system
def test_the_health_check_of_the_image_is_green_with_a_server_and_red_without(
    tmp_path: Path,
) -> None:
    _, _, words = dict(instructions())["HEALTHCHECK"].partition(" CMD ")
    server = ServerProcess(tmp_path)
    try:
        port = server.start().client.base_url.port
        command = [each.replace(":8080", f":{port}") for each in json.loads(words)]
        assert subprocess.run(command, check=False).returncode == 0
    finally:
        server.close()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1


def test_compose_is_valid_and_agrees_with_the_image() -> None:
    document = yaml.safe_load(COMPOSE.read_text())
    vendored = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    Draft7Validator(json.loads(vendored.read_text())).validate(document)
    tasks = document["services"]["tasks"]
    assert (COMPOSE.parent / tasks["build"]["context"]).resolve() == ROOT
    assert ROOT / tasks["build"]["dockerfile"] == CONTAINERFILE
    secret = "x" * 32
    environ = {k: re.sub(r"\$\{.*?\}", secret, v) for k, v in tasks["environment"].items()}
    settings = settings_of(environ)
    assert settings.auth.keys["operator"].scopes == ("admin",)
    assert settings.database.url.startswith("postgresql://")
    grace = float(tasks["stop_grace_period"].removesuffix("s"))
    assert grace > settings.shutdown.drain_seconds + STARTS_OFF_SECONDS


def test_the_manifests_of_kubernetes_are_valid() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="it is of the extra `dev`")
    documents = list(yaml.safe_load_all(KUBERNETES.read_text()))
    assert [each["kind"] for each in documents] == ["Deployment", "Service", "PodDisruptionBudget"]
    for each in documents:
        validate.validate(each, "1.30", strict=True)


def test_the_deployment_of_kubernetes_agrees_with_the_program() -> None:
    deployment = next(yaml.safe_load_all(KUBERNETES.read_text()))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    secrets = {"database-url": "postgresql://user:password@host/name", "operator-key": "x" * 32}
    environ = {
        each["name"]: each.get("value") or secrets[each["valueFrom"]["secretKeyRef"]["key"]]
        for each in container["env"]
    }
    settings = settings_of(environ)
    assert settings.metrics.open
    stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = stop + settings.shutdown.drain_seconds + STARTS_OFF_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= needed
    assert container["ports"][0]["containerPort"] == settings.http.port
    probes = {
        name: container[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }


READ_ONLY = """
set -e
mount --make-rprivate /
mount --bind "$PWD" "$PWD"
cd "$PWD"
mount --options remount,bind,ro /
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""
"""A file system that cannot be written to but for the folder it runs in, and no capability."""


@pytest.mark.system
def test_a_server_runs_as_process_1_without_capabilities_on_a_file_system_that_it_cannot_write_to(
    tmp_path: Path,
) -> None:
    container = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
    wrapper = (*container, "sh", "-c", READ_ONLY, "sh")
    outside = tmp_path.parent / "outside"
    try_it = subprocess.run(
        [*wrapper, "sh", "-c", f"touch here && ! touch {outside}"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if try_it.returncode:
        pytest.skip("needs unshare, and to be allowed to use it")
    server = ServerProcess(
        tmp_path,
        "actions.cut=tests.actions:resize",
        'actions.shout={command = ["tr", "a-z", "A-Z"], result = "text"}',
        wrapper=wrapper,
    )
    try:
        server.start()
        tasks = [server.publish("shout"), server.publish("cut", sizes=[{"width": 3}])]
        for each in tasks:
            server.wait_for_status(each, "completed")
    finally:
        server.close()


# --- proxies --------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["nginx/task-queue.conf", "nginx/tasks.conf", "caddy/Caddyfile"])
def test_the_proxies_have_the_configurations_of_their_page(file: str) -> None:
    """Which `tests/docs/test_proxy.py` runs."""
    page = (ROOT / "docs" / "proxy.md").read_text()
    assert (DEPLOY / file).read_text() in page
