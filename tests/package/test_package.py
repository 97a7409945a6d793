"""What is installed: one package, complete, and nothing that collides with a user's modules."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.harness import ROOT, ServerProcess

SOURCES = ("actors", "api", "config", "pyproject.toml", "README.md", "LICENSE")
PROJECT = Path(__file__).parent / "project"
"""A user's project whose modules have names of ours, and of the standard library's."""
# One worker installs for all of them, which takes a while where packages come from afar.
pytestmark = [pytest.mark.xdist_group("package"), pytest.mark.timeout(600)]

CLEAN = {"PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}


def run(*command: str | Path, cwd: Path, environ: Mapping[str, str] = CLEAN) -> str:
    """What the command prints; fails the test with all of it if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from, outside the checkout."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="session")
def built(sources: Path) -> Path:
    """The folder with the source distribution, and the wheel that was built from that."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "built", cwd=sources)
    return sources / "built"


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    """The wheel."""
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that had nothing in it before the wheel was installed."""
    where = tmp_path_factory.mktemp("environment")
    venv.create(where, with_pip=True)
    run(where / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=where)
    return where / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the user's project."""
    return Path(shutil.copytree(PROJECT, tmp_path / "project"))


@pytest.fixture
def serve_installed(installed: Path) -> Iterator[Callable[[Path], ServerProcess]]:
    """Starts the installed program in a folder."""
    servers: list[ServerProcess] = []

    def start(directory: Path, *settings: str) -> ServerProcess:
        program = (str(installed / "task-queue"),)
        servers.append(ServerProcess(directory, *settings, environ=CLEAN, program=program))
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


DATA = {".css", ".html", ".js", ".mako", ".svg", ".toml"}
"""How the names of files end that are no modules, and are needed all the same."""


def modules_of_the_checkout() -> set[str]:
    """Every file of ours, as it is called inside the package."""
    found = {
        str(path.relative_to(ROOT))
        for name in ("actors", "api", "config")
        for path in (ROOT / name).rglob("*")
        if path.suffix in DATA | {".py"} and "public" not in path.parts
    }
    return found | {path.name for path in (ROOT / "api" / "public").glob("*.*")}


def test_the_wheel_has_one_package_and_what_describes_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"task_queue", "task_queue-0.1.0.dist-info"}


def test_the_wheel_has_every_module_and_every_file_of_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name.partition("/")[2] for name in archive.namelist() if "dist-info" not in name]
    assert sorted(names) == sorted(modules_of_the_checkout())


def test_the_source_distribution_has_all_of_it_too(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    public = {f"api/public/{path.name}" for path in (ROOT / "api" / "public").glob("*.*")}
    ours = {name for name in modules_of_the_checkout() if "/" in name}
    assert ours | public <= names


def test_it_starts_where_nothing_else_is_installed(
    serve_installed: Callable[[Path], ServerProcess], tmp_path: Path
) -> None:
    server = serve_installed(tmp_path)
    task = server.publish("uppercase", text="from a wheel")
    assert server.wait_for_status(task, "completed")["result"] == {"output": "FROM A WHEEL"}
    assert (tmp_path / "data" / "tasks.db").exists()


def test_its_migrations_run(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "task-queue", "migrate", cwd=tmp_path) == "the schema is up to date\n"


def test_it_is_a_module_too(installed: Path, project: Path) -> None:
    shown = run(installed / "python", "-m", "task_queue", "version", cwd=project)
    assert shown == run(installed / "task-queue", "version", cwd=project)


def test_no_other_name_can_be_imported(installed: Path, tmp_path: Path) -> None:
    code = "from importlib.util import find_spec as f; print(f('actors'), f('api'), f('config'))"
    assert run(installed / "python", "-c", code, cwd=tmp_path) == "None None None\n"


def test_the_public_names_have_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(
        "from task_queue import Cancelled, Context, Reject, RetryLater, TimedOut\n"
        "from task_queue.client import Client\n"
        "from task_queue.testing import run_inline\n\n"
        "def act(data: dict[str, int], task: Context) -> None:\n"
        "    task.progress(0.5)\n"
        "    reveal_type(task.attempt)\n"
        "    reveal_type(Client().task('resize', {'width': 3}).wait(30).status == 'dead')\n"
        "    raise RetryLater(1)\n"
    )
    command = ("--python-executable", installed / "python", "--strict", "use.py")
    shown = run(sys.executable, "-m", "mypy", *command, cwd=tmp_path)
    assert 'Revealed type is "int"' in shown
    assert "Success" in shown


@pytest.mark.parametrize("action", ["in_thread", "in_process", "of_config", "of_tests"])
def test_a_users_modules_may_have_any_name(installed: Path, project: Path, action: str) -> None:
    command = ("run", action, "--config", "tq.toml", "--data", '{"who": "me"}')
    assert run(installed / "task-queue", *command, cwd=project) == '{"hi":"me"}\n'
    assert run(installed / "python", "-m", "task_queue", *command, cwd=project) == '{"hi":"me"}\n'


@pytest.mark.parametrize("action", ["in_thread", "in_process"])
def test_not_even_modules_that_python_starts_with_or_libraries_look_for_harm(
    installed: Path, project: Path, action: str
) -> None:
    # `types` and the like are beyond help: Python itself imports them before `-m` finds us.
    for name in ("typing", "re", "enum", "copyreg", "email", "click", "colorama"):
        (project / f"{name}.py").write_text('raise ImportError("the module of the user")')
    (project / "trio").mkdir()
    with (project / "tq.toml").open("a") as settings:
        settings.write('\n[actions.endpoint]\nhttp = "https://example.com/"\n')
    command = ("run", action, "--config", "tq.toml", "--data", '{"who": "me"}')
    for program in ((installed / "task-queue",), (installed / "python", "-m", "task_queue")):
        assert run(*program, *command, cwd=project) == '{"hi":"me"}\n'


def test_an_action_that_an_installed_module_hides_is_told_so(
    installed: Path, project: Path
) -> None:
    (project / "falcon.py").write_text("def hello(data):\n    return 1\n")
    (project / "tq.toml").write_text('[actions]\nhello = "falcon:hello"\n')
    done = subprocess.run(
        (installed / "task-queue", "run", "hello", "--config", "tq.toml"),
        cwd=project,
        env={**os.environ, **CLEAN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "falcon/__init__.py, which comes before the current folder" in done.stderr


def test_a_users_modules_are_served_too(
    serve_installed: Callable[..., ServerProcess], project: Path
) -> None:
    server = serve_installed(
        project,
        'actions.in_thread="api.jobs:hello"',
        'actions.of_actors="actors.stage:hello"',
        'actions.in_process={python="api.jobs:hello", cpu=true}',
    )
    tasks = [server.publish(name, who="you") for name in ("in_thread", "of_actors", "in_process")]
    for task in tasks:
        assert server.wait_for_status(task, "completed")["result"] == {"hi": "you"}


def test_a_users_tests_run_their_actions_inline(installed: Path, project: Path) -> None:
    assert run(installed / "python", "-m", "tests.check", cwd=project) == "checked\n"


def test_a_plain_editable_install_runs_as_well(sources: Path, project: Path) -> None:
    where = project.parent / "editable"
    venv.create(where)
    python = where / "bin" / "python"
    packages = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=where
    ).strip()
    # pip, setuptools and what it depends on are taken from here.
    Path(packages, "here.pth").write_text(sysconfig.get_path("purelib"))
    copy = shutil.copytree(sources, where / "checkout", ignore=shutil.ignore_patterns("built"))
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--editable", copy)
    run(python, "-m", "pip", "install", *options, cwd=where)
    command = ("run", "in_process", "--config", "tq.toml", "--data", '{"who": "me"}')
    assert run(where / "bin" / "task-queue", *command, cwd=project) == '{"hi":"me"}\n'
