"""What is installed: dependencies that agree with each other, a wheel that is whole, files that name no machine."""

import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SELF = canonicalize_name(PROJECT["name"])


def ranges(lines):
    """Give {name: range} of requirements, without those of the project itself."""
    read = {canonicalize_name(one.name): str(one.specifier) for one in map(Requirement, lines)}
    return {name: specifier for name, specifier in read.items() if name != SELF}


# ------------------------------------------------------------------ dependencies


def test_conda_users_get_the_same_dependencies_in_the_same_ranges():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (from_pip,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    lines = [entry for entry in [*listed, *from_pip] if isinstance(entry, str) and not entry.startswith("-")]
    conda = ranges(lines)
    assert conda.pop("python") == PROJECT["requires-python"]
    assert conda.pop("pip") == ""
    assert conda == ranges([*PROJECT["dependencies"], *EXTRAS["examples"]])
    assert "--editable ." in from_pip


def test_every_dependency_says_why_it_is_there():
    lines = re.findall(r'^ {4}"([^"]+)",[ \t]*(#.*)?$', PYPROJECT.read_text(encoding="utf-8"), re.MULTILINE)
    reasons = {line: comment.strip("# ") for line, comment in lines}
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]:
        if canonicalize_name(Requirement(line).name) != SELF:
            assert len(reasons[line].split()) > 1, line


def test_metaflow_is_bounded_since_its_inner_parts_are_used():
    (metaflow,) = (one for one in map(Requirement, PROJECT["dependencies"]) if one.name == "metaflow")
    assert {specifier.operator for specifier in metaflow.specifier} == {">=", "<"}


def test_the_extra_for_development_brings_the_examples_too():
    assert any(Requirement(line).extras == {"examples"} for line in EXTRAS["dev"])


def test_the_extra_for_development_brings_what_these_tests_build_with():
    build = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["build-system"]["requires"]
    assert set(ranges(build)) <= set(ranges(EXTRAS["dev"]))


def test_the_version_is_the_one_that_the_package_says():
    assert kit.__version__ == PROJECT["version"]


# ------------------------------------------------------------------ the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel, with what is installed and without a network; gives the open archive."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel):
    packages = {
        str(path.relative_to(ROOT))
        for package in ("kit", "metaflow_extensions")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {"kit/views/templates/page.html.j2", "metaflow_extensions/kit/plugins/mfextinit_kit.py"} <= names
    assert names == packages


def test_the_wheel_brings_the_command_and_the_licence(wheel):
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert "kit = kit.cli:main" in wheel.read(entry_points).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


def test_the_wheel_asks_for_the_dependencies_of_pyproject(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = HeaderParser().parsestr(wheel.read(name).decode())
    asked = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert ranges(asked) == ranges(PROJECT["dependencies"])
    assert set(metadata.get_all("Provides-Extra")) == set(EXTRAS)


def test_metaflow_loads_an_extension_only_from_folders_without_init_files():
    assert list((ROOT / "metaflow_extensions").rglob("__init__.py")) == []


# ------------------------------------------------------------------ the repository

# Put together here, so that this file does not name them.
HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("files", "pythonhosted", "org"), ("registry", "npmjs", "org"))]
HOST = re.compile("|".join(map(re.escape, HOSTS)))
FOLDER = re.compile(r"(?:file://|(?<![\w.~/})-]))" + "/(?:" + "|".join(("work", "root")) + r")\b")


@pytest.fixture(scope="module")
def texts():
    """Give {path: text} of the files that git tracks, or would."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of its files")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    contents = {name: (ROOT / name).read_bytes() for name in listed if name and (ROOT / name).is_file()}
    return {name: content.decode() for name, content in contents.items() if b"\0" not in content}


def test_the_repository_names_no_registry(texts):
    assert {name: HOST.findall(text) for name, text in texts.items() if HOST.search(text)} == {}


def test_the_repository_names_no_folder_of_one_machine(texts):
    assert {name: FOLDER.findall(text) for name, text in texts.items() if FOLDER.search(text)} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cd {}/main", True),
        ('"{}"', True),
        ("file://{}/x", True),
        ("{}flow/x", False),
        ("a{}/x", False),
        ("https://host{}/x", False),
    ],
)
def test_a_folder_of_a_machine_is_told_from_the_end_of_another_path(text, found):
    assert bool(FOLDER.search(text.format("/" + "work"))) is found
