"""Installing for real, into environments thrown away.

Nothing here asks the internet: the index is a folder of wheels or a server on this machine, and the git
repository's build backend is in the repository.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uv
from package_index import Index

from kit import installer

ROOT = Path(__file__).resolve().parents[1]

# What the throwaway environments execute; its last line of output is the answer.
CALL = """
import importlib, json, sys
from kit import deps, installer
from kit.errors import RequirementError
call = json.loads(sys.argv[1])
installer.RETRY_PAUSES = (0.05, 0.05)
try:
    states = deps.install_dependencies(call["spec"], **call["options"])
    answer = {"states": [[s.state, s.action, s.had, s.now] for s in states]}
    answer["values"] = [importlib.import_module(name).VALUE for name in call["imports"]]
except RequirementError as error:
    answer = {"message": error.message, "hint": error.hint, "details": error.details}
print(json.dumps(answer))
"""

# A build backend without a download: one module, its version and value from the file beside it.
BACKEND = """
import zipfile
NAME = "your_package"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    value = open("value.txt").read().strip()
    info = f"{NAME}-0.1.dist-info"
    wheel = f"{NAME}-0.1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{wheel}", "w") as archive:
        archive.writestr(f"{NAME}.py", f"VALUE = {value!r}")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: your-package\\nVersion: 0.1\\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel
"""


def path_with(folder: Path, *tools: str | None) -> str:
    """Link tools into a folder, and give a PATH with it on which nothing else is a uv."""
    folder.mkdir(exist_ok=True)
    for tool in tools:
        assert tool, "this test needs uv and git"
        folder.joinpath(Path(tool).name).symlink_to(tool)
    others = [other for other in os.environ["PATH"].split(os.pathsep) if not Path(other, "uv").exists()]
    return os.pathsep.join([str(folder), *others])


def write_wheel(folder: Path, name: str, version: str, module: str, requires: str = "") -> None:
    stem = f"{name.replace('-', '_')}-{version}"
    wheel = folder / f"{stem}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{module}.py", f"VALUE = {version!r}\n")
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(f"{stem}.dist-info/WHEEL", tags)
        archive.writestr(f"{stem}.dist-info/RECORD", "")


class Environment:
    """An environment in which an install is real, and does no harm."""

    def __init__(self, python: Path, variables: dict[str, str]) -> None:
        self.python = python
        self.variables = variables
        self.printed: list[str] = []

    def start(self, spec: object, imports: tuple[str, ...] = (), **options: bool) -> "subprocess.Popen[str]":
        call = json.dumps({"spec": spec, "imports": imports, "options": options})
        command = [str(self.python), "-c", CALL, call]
        return subprocess.Popen(command, env=self.variables, stdout=subprocess.PIPE, text=True, cwd=self.python.parent)

    def finish(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        output, _ = process.communicate(timeout=60)
        *self.printed, answer = output.splitlines()
        return json.loads(answer)

    def use_index(self, url: str) -> None:
        for name in ("UV_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
            del self.variables[name]
        self.variables |= {"UV_NO_CONFIG": "1", "UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url, "NO_PROXY": "*"}

    def install(self, spec: object, *imports: str, **options: bool) -> dict[str, Any]:
        return self.finish(self.start(spec, imports, **options))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder, "alpha-dist", "1.0", "alpha")
    write_wheel(folder, "alpha-dist", "2.0", "alpha")
    write_wheel(folder, "beta", "1.0", "beta", requires="alpha-dist>=2")
    write_wheel(folder, "elsewhere", "1.0", "elsewhere")
    (folder / "elsewhere-1.0-py3-none-any.whl").rename(folder / "elsewhere-1.0-cp39-none-any.whl")
    return folder


@pytest.fixture(scope="session")
def variables(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The process environment of the throwaway environments: kit, git and uv, the wheels and nothing else."""
    folder = tmp_path_factory.mktemp("tools")
    settings = folder / "uv.toml"
    settings.write_text(f"no-index = true\nfind-links = [{json.dumps(str(wheels))}]\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "PYTHON"))}
    return kept | {
        "PATH": path_with(folder / "bin", uv.find_uv_bin(), shutil.which("git")),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",  # two versions a second apart would share their byte code
        "UV_CONFIG_FILE": str(settings),
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_HTTP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
    }


@pytest.fixture
def environment(tmp_path: Path, variables: dict[str, str]) -> Environment:
    folder = tmp_path / "environment"
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "--python", sys.executable, folder], check=True)
    return Environment(folder / "bin" / "python", dict(variables))


@pytest.fixture
def pip_environment(tmp_path: Path, variables: dict[str, str]) -> Environment:
    """An environment with pip, from which uv cannot be found."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    path = path_with(tmp_path / "tools", shutil.which("git"))
    return Environment(folder / "bin" / "python", variables | {"PATH": path, "PYTHONWARNINGS": ""})


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A repository with the tags v0.1 and v0.2 of one distribution version; its URL, and the commit of v0.1."""
    folder = tmp_path_factory.mktemp("repository")

    def git(*words: str) -> str:
        identity = ["-c", "user.name=kit", "-c", "user.email=kit@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(folder), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    folder.joinpath("backend.py").write_text(BACKEND)
    folder.joinpath("pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "your-package"\nversion = "0.1"\n'
    )
    for tag in ("v0.1", "v0.2"):
        folder.joinpath("value.txt").write_text(tag)
        git("add", ".")
        git("commit", "-q", "-m", tag)
        git("tag", tag)
    return f"git+{folder.as_uri()}", git("rev-parse", "v0.1")


def test_a_missing_requirement_is_installed_and_can_be_imported_at_once(environment):
    answer = environment.install({"alpha": "alpha-dist==1.0"}, "alpha")
    assert answer == {"states": [["met", "install", None, "1.0"]], "values": ["1.0"]}
    assert environment.printed == ["kit: installing alpha-dist==1.0 ..."]
    answer = environment.install({"alpha": "alpha-dist==1.0"}, "alpha")
    assert answer == {"states": [["met", "keep", "1.0", "1.0"]], "values": ["1.0"]}
    assert environment.printed == []


def test_an_unmet_pin_is_replaced_when_asked_and_refused_otherwise(environment):
    environment.install("alpha-dist==1.0", quiet=True)
    assert environment.printed == []
    answer = environment.install({"alpha": "alpha-dist==2.0"})
    assert answer["message"] == "alpha-dist is installed as 1.0, wanted is ==2.0"
    assert "upgrade=True" in answer["hint"]
    answer = environment.install({"alpha": "alpha-dist==2.0"}, "alpha", upgrade=True)
    assert answer == {"states": [["met", "replace", "1.0", "2.0"]], "values": ["2.0"]}


def test_check_and_dry_run_install_nothing(environment):
    answer = environment.install(["alpha-dist==1.0"], check=True)
    assert answer["message"] == "alpha-dist==1.0 is missing"
    assert environment.install(["alpha-dist==1.0"], dry_run=True)["states"] == [["missing", "install", None, None]]
    assert environment.printed == []
    assert not list(environment.python.parents[1].glob("lib/*/site-packages/alpha*"))


def test_a_pin_that_holds_is_not_broken_by_installing_another(environment):
    environment.install("alpha-dist==1.0")
    answer = environment.install(["alpha-dist==1.0", "beta"])
    assert "beta cannot be installed" in answer["message"]
    assert environment.install("alpha-dist==1.0", check=True)["states"] == [["met", "keep", "1.0", "1.0"]]


def test_a_wrong_pin_fails_at_once_with_the_resolvers_own_words(environment):
    answer = environment.install({"alpha": "alpha-dist==9.9"})
    assert "there is no version of alpha-dist==9.9" in answer["message"]
    assert "\n" not in answer["message"]
    assert "alpha-dist==9.9" in answer["details"]
    assert environment.printed == ["kit: installing alpha-dist==9.9 ..."]


def test_an_import_name_that_the_distribution_does_not_bring_is_reported(environment):
    answer = environment.install({"alhpa": "alpha-dist==1.0"})
    assert "alpha-dist 1.0 is installed without the import alhpa" in answer["message"]


def test_a_range_needs_packaging_and_says_so_where_it_is_missing(environment):
    assert "needs the package 'packaging'" in environment.install("alpha-dist>=1")["message"]


def test_a_wheel_on_disk_is_installed_and_then_met(environment, wheels):
    wheel = str(wheels / "alpha_dist-1.0-py3-none-any.whl")
    assert environment.install({"alpha": wheel}, "alpha")["values"] == ["1.0"]
    assert environment.install({"alpha": wheel})["states"] == [["met", "keep", "1.0", "1.0"]]


def test_a_git_requirement_is_installed_at_a_tag_a_branch_or_a_commit(environment, repository):
    url, commit = repository
    answers = [
        environment.install({"your_package": f"{url}@{revision}"}, "your_package", upgrade=True)
        for revision in ("v0.1", "main", commit)
    ]
    assert [answer["values"] for answer in answers] == [["v0.1"], ["v0.2"], ["v0.1"]]
    assert environment.install({"your_package": f"{url}@{commit[:12]}"}, check=True)["states"][0][:2] == ["met", "keep"]


def test_a_git_pin_at_another_revision_of_the_same_version_is_unmet(environment, repository):
    url, _ = repository
    environment.install({"your_package": f"{url}@v0.1"})
    answer = environment.install({"your_package": f"{url}@v0.2"})
    assert answer["message"] == "your_package is installed as 0.1 @ v0.1, wanted is v0.2"


def test_a_folder_with_a_space_in_its_name_is_installed(environment, repository, tmp_path):
    folder = tmp_path / "my package"
    shutil.copytree(repository[0].removeprefix("git+file://"), folder)
    assert environment.install({"your_package": str(folder)}, "your_package")["values"] == ["v0.2"]
    assert environment.install(str(folder), check=True)["states"][0][:2] == ["met", "keep"]


def test_pip_installs_where_there_is_no_uv(pip_environment, repository):
    url, _ = repository
    spec = [{"alpha": "alpha-dist>=1,<2"}, {"your_package": f"{url}@v0.1"}]
    assert pip_environment.install(spec, "alpha", "your_package")["values"] == ["1.0", "v0.1"]
    spec = [{"alpha": "alpha-dist==2.0"}, {"your_package": f"{url}@v0.2"}]
    assert pip_environment.install(spec, "alpha", "your_package", upgrade=True)["values"] == ["2.0", "v0.2"]
    message = pip_environment.install("beta==7")["message"]
    assert "No matching distribution found for beta==7" in message
    assert pip_environment.printed == ["kit: installing beta==7 ..."]


@pytest.mark.parametrize("with_pip", [False, True])
def test_what_has_no_wheels_for_this_python_is_refused_with_the_pythons_that_could_have_it(with_pip, request):
    environment = request.getfixturevalue("pip_environment" if with_pip else "environment")
    message = environment.install(["elsewhere==1.0", "alpha-dist==1.0"])["message"]
    this = ".".join(map(str, sys.version_info[:2]))
    assert message.startswith(f"elsewhere==1.0, alpha-dist==1.0 cannot be had on Python {this}; Python 3.9 can")
    assert environment.install("alpha-dist", check=True)["message"].startswith("alpha-dist is missing")


def test_without_uv_and_pip_the_error_says_how_to_get_one(environment, tmp_path):
    environment.variables["PATH"] = str(tmp_path)
    assert "neither uv nor pip" in environment.install("alpha-dist==1.0")["message"]


def test_two_processes_install_one_after_the_other(environment):
    processes = [environment.start({"alpha": "alpha-dist==1.0"}, ("alpha",)) for _ in range(3)]
    printed, values = [], []
    for process in processes:
        values += environment.finish(process)["values"]
        printed += environment.printed
    assert values == ["1.0"] * 3
    assert [line for line in printed if "installing" in line] == ["kit: installing alpha-dist==1.0 ..."]


def test_an_install_waits_for_another_into_the_same_environment(environment):
    prefix = environment.python.parents[1]
    with open(prefix / ".kit-install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = environment.start({"alpha": "alpha-dist==1.0"})
        assert process.stdout
        assert process.stdout.readline() == f"kit: waiting for another install into {prefix} ...\n"
    assert environment.finish(process)["states"] == [["met", "install", None, "1.0"]]


def test_where_only_root_may_write_pip_installs_for_the_user(monkeypatch):
    commands = []

    class Succeeds(contextlib.AbstractContextManager[Any]):
        stdout, returncode = (), 0

        def __init__(self, command: list[str], **_options: Any) -> None:
            commands.append(command)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    monkeypatch.setattr(subprocess, "Popen", Succeeds)
    installer.install(["alpha-dist==1.0"], [], "alpha-dist==1.0", quiet=True)
    assert commands[0][1:4] == ["-m", "pip", "install"]
    assert commands[0][-3:] == ["--user", "--", "alpha-dist==1.0"]


@pytest.fixture
def serve(wheels: Path) -> Iterator[Callable[..., Index]]:
    servers: list[Index] = []

    def start(lost: int = 0) -> Index:
        servers.append(Index(wheels, lost))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_network_failure_is_tried_again_and_the_install_goes_on(environment, serve):
    index = serve(lost=1)
    environment.use_index(f"http://127.0.0.1:{index.server_port}/simple")
    assert environment.install({"alpha": "alpha-dist==1.0"}, "alpha")["values"] == ["1.0"]
    first, again = environment.printed
    assert first == "kit: installing alpha-dist==1.0 ..."
    assert again.startswith("kit: the network fails, trying again in 0.05 s (")


@pytest.mark.parametrize("with_pip", [False, True])
def test_a_network_that_stays_away_is_reported_after_three_attempts(with_pip, request):
    environment = request.getfixturevalue("pip_environment" if with_pip else "environment")
    environment.use_index("http://127.0.0.1:9/simple")
    answer = environment.install({"alpha": "alpha-dist==1.0"})
    assert answer["message"].startswith("alpha-dist==1.0 cannot be installed, the network fails: ")
    assert "onnection refused" in answer["message"]
    assert len([line for line in environment.printed if "trying again" in line]) == 2


def test_an_index_that_does_not_know_the_name_is_asked_once(environment, serve):
    index = serve()
    environment.use_index(f"http://127.0.0.1:{index.server_port}/simple")
    assert "gamma" in environment.install("gamma==1.0")["message"]
    assert index.visits == 1


def test_credentials_of_an_index_or_a_requirement_are_not_in_the_answer(environment, serve):
    address = f"http://user:s3cret@127.0.0.1:{serve().server_port}"
    environment.use_index(f"{address}/simple")
    for spec in ("gamma==1.0", f"{address}/gamma-1.0-py3-none-any.whl"):
        answer = environment.install(spec)
        assert "cannot be installed" in answer["message"]
        assert "s3cret" not in json.dumps([answer, environment.printed])
