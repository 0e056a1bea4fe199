"""Probing, on distributions written by hand into a folder of this process's path."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kit.deps import Spec, install_dependencies, probe, read_spec
from kit.errors import RequirementError

ROOT = Path(__file__).resolve().parents[1]
GIT_URL = "git+https://host/you/your_package@v0.1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def metadata_text(name: str, version: str, requires: tuple[str, ...] = (), extras: tuple[str, ...] = ()) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    return "\n".join(lines) + "\n"


class Site:
    """A folder on `sys.path` of this process, with distributions as installers leave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        name: str,
        version: str = "1.0",
        module: str | None = None,
        direct: dict[str, object] | None = None,
        **more: tuple[str, ...],
    ) -> None:
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(metadata_text(name, version, **more))
        if module:
            info.joinpath("RECORD").write_text(f"{module}.py,,\n{info.name}/METADATA,,\n")
            self.folder.joinpath(f"{module}.py").write_text("raise RuntimeError('probing must not import')\n")
        if direct:
            info.joinpath("direct_url.json").write_text(json.dumps(direct))

    def add_git(self, revision: str | None = "v0.1", commit: str = COMMIT) -> None:
        vcs = {"vcs": "git", "commit_id": commit}
        vcs |= {"requested_revision": revision} if revision else {}
        direct = {"url": "https://host/you/your_package", "vcs_info": vcs}
        self.add("your-package", "0.1", "your_package", direct)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return Site(folder)


def state_of(spec: Spec) -> tuple[str, str | None]:
    (state,) = probe(read_spec(spec))
    return state.state, state.had


def test_an_exact_pin_is_met_missing_or_unmet(site):
    site.add("alpha-dist", "1.0", "alpha")
    assert state_of("alpha-dist==1.0") == state_of("Alpha.Dist") == ("met", "1.0")
    assert state_of("alpha-dist==1.0.0") == ("met", "1.0")
    assert state_of("alpha-dist==2.0") == ("unmet", "1.0")
    assert state_of("kit-has-no-such-distribution") == ("missing", None)


@pytest.mark.parametrize(
    ("specifier", "state"),
    [
        (">=1,<2", "met"),
        ("~=1.2", "met"),
        ("!=1.2.3", "unmet"),
        ("==1.*", "met"),
        (">=2", "unmet"),
        ("===1.2.3", "met"),
    ],
)
def test_a_range_is_compared_as_pep_440_has_it(site, specifier, state):
    site.add("alpha", "1.2.3")
    assert state_of(f"alpha{specifier}") == (state, "1.2.3")


def test_an_installed_prerelease_meets_an_open_range(site):
    site.add("alpha", "2.0rc1")
    assert state_of("alpha>=1") == ("met", "2.0rc1")


def test_import_and_distribution_names_are_told_apart(site):
    site.add("alpha-dist", "1.0", "alpha")
    assert state_of({"alpha": "alpha-dist==1.0"}) == ("met", "1.0")
    assert state_of({"alpha": "alpha-dist==2.0"}) == ("unmet", "1.0")
    assert state_of({"other": "alpha-dist==1.0"}) == ("missing", "1.0")


def test_an_import_from_another_distribution_meets_a_bare_name_but_no_pin(site):
    site.add("alpha-headless", "1.0", "alpha")
    assert state_of({"alpha": "alpha"})[0] == "met"
    assert state_of({"alpha": "alpha==1.0"}) == ("unmet", "1.0 (alpha-headless)")


def test_a_module_without_a_distribution_meets_a_bare_name_but_no_pin(site):
    site.folder.joinpath("alpha.py").touch()
    assert state_of({"alpha": "alpha-dist"}) == ("met", None)
    assert state_of({"alpha": GIT_URL}) == ("met", None)
    assert state_of({"alpha": "alpha-dist==1.0"}) == ("unmet", None)


def test_a_bare_folder_on_the_path_is_no_package(site):
    site.folder.joinpath("your_package").mkdir()
    assert state_of({"your_package": GIT_URL}) == ("missing", None)


def test_a_dotted_import_name_is_found_without_importing_its_parents(site):
    package = site.folder / "space" / "cloud"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text("raise RuntimeError")
    package.joinpath("storage.py").write_text("raise RuntimeError")
    assert state_of({"space.cloud.storage": "space-cloud"}) == ("met", None)
    assert state_of({"space.cloud.compute": "space-cloud"}) == ("missing", None)
    assert state_of({"space.other": "space-cloud"}) == ("missing", None)


def test_a_requirement_whose_marker_is_false_is_skipped(site):
    assert state_of("alpha; python_version < '3'") == ("skipped", None)
    assert state_of("./alpha ; python_version < '3'") == ("skipped", None)
    assert install_dependencies("alpha; python_version < '3'", check=True)[0].action == "skip"


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("git+https://host/you/your_package@v0.1", "met"),
        ("git+https://host/you/your_package", "met"),
        ("git+https://user:token@HOST/you/your_package.git@v0.1", "met"),
        ("git+ssh://git@host/you/your_package@v0.1", "met"),
        ("git+https://host/you/your_package@0123456", "met"),
        ("git+https://host/you/your_package@v0.2", "unmet"),
        ("git+https://host/you/your_package@0123457", "unmet"),
        ("git+https://host/you/other@v0.1", "unmet"),
        ("git+https://host/you/your_package@v0.1#subdirectory=sub", "unmet"),
        ("https://host/you/your_package", "unmet"),
    ],
)
def test_a_git_pin_is_compared_with_what_the_installer_recorded(site, url, state):
    site.add_git()
    assert state_of({"your_package": url}) == (state, "0.1 @ v0.1")
    assert state_of(f"your-package @ {url}") == (state, "0.1 @ v0.1")


def test_a_bare_url_finds_the_distribution_that_was_installed_from_it(site):
    site.add_git()
    assert state_of(GIT_URL) == ("met", "0.1 @ v0.1")
    assert state_of("git+https://host/you/your_package@v0.2") == ("unmet", "0.1 @ v0.1")
    assert state_of("git+https://host/you/other") == ("missing", None)


def test_a_git_pin_is_met_by_a_distribution_of_which_nothing_was_recorded(site):
    site.add("your-package", "0.1", "your_package")
    assert state_of({"your_package": GIT_URL}) == ("met", "0.1")


def test_a_git_pin_of_an_import_named_otherwise_is_compared_too(site):
    site.add_git()
    site.folder.joinpath("other.py").touch()
    site.folder.joinpath("your_package-0.1.dist-info", "top_level.txt").write_text("your_package\nother\n")
    assert state_of({"other": "git+https://host/you/your_package@v0.2"}) == ("unmet", "0.1 @ v0.1")
    state, had = state_of({"other": "git+https://host/you/fork@v0.1"})
    assert (state, had) == ("unmet", "0.1 @ v0.1 (your-package)")


def test_a_wheel_is_compared_by_the_version_in_its_name(site):
    site.add("alpha", "1.0", "alpha")
    assert state_of("https://host/alpha-1.0-py3-none-any.whl")[0] == "met"
    assert state_of("https://host/alpha-1.1-py3-none-any.whl")[0] == "unmet"


def test_extras_are_met_when_what_they_ask_for_is_there(site):
    requires = ("beta>=2; extra == 'plot'", "gamma", "alpha[plot]; extra == 'all'", "alpha[all]; extra == 'all'")
    site.add("alpha", "1.0", requires=requires, extras=("plot", "all"))
    assert state_of("alpha")[0] == "met"
    assert state_of("alpha[plot]")[0] == state_of("alpha[all]")[0] == "missing"
    site.add("beta", "2.0")
    assert state_of("alpha[plot]")[0] == state_of("alpha[all]")[0] == "met"


def test_a_distribution_without_metadata_is_missing(site):
    site.folder.joinpath("alpha-1.0.dist-info").mkdir()
    assert state_of("alpha") == ("missing", None)


def test_nothing_is_started_when_all_is_met(site, monkeypatch, capsys):
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    site.add("alpha-dist", "1.0", "alpha")
    (state,) = install_dependencies([{"alpha": "alpha-dist==1.0"}])
    assert (state.state, state.action, state.had, state.now) == ("met", "keep", "1.0", "1.0")
    assert capsys.readouterr().out == ""


def test_importing_kit_deps_loads_the_standard_library_alone():
    code = "import sys, kit.deps; print({n.partition('.')[0] for n in sys.modules} - sys.stdlib_module_names)"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert eval(loaded) <= {"kit", "__main__"}  # noqa: S307 - printed by the line above


def test_a_python_of_the_operating_system_is_refused(tmp_path, monkeypatch):
    tmp_path.joinpath("EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(RequirementError, match=r"PEP 668.*\n.*python -m venv"):
        install_dependencies("kit-has-no-such-distribution==1.0")
