"""Environments built for real by uv, from a folder of wheels, into a folder of this test."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from wheel_folder import make_index

from kit import envs, installer, interpreters, locks
from kit.errors import KitError, NotFoundError, RequirementError

THIS = ".".join(map(str, sys.version_info[:3]))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_index(tmp_path_factory.mktemp("index"))


@pytest.fixture
def said(tmp_path, index, monkeypatch):
    """Keep environments in a folder of the test, built from the wheels; gives what is said."""
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    for name, value in index.items():
        monkeypatch.setenv(name, value)
    return []


def packages_of(environment):
    code = "import alpha; print(alpha.VERSION)"
    return subprocess.run([environment.interpreter, "-c", code], capture_output=True, text=True, check=True).stdout


def test_an_environment_has_its_pins_and_the_same_pins_have_the_same_environment(said):
    spec = envs.spec_of(None, {"alpha-dist": "1.0"})
    built = envs.build(spec, "fit", say=said.append)
    assert packages_of(built) == "1.0\n"
    assert built.packages == ("alpha-dist==1.0",)
    assert any(line.startswith("kit: fit: built in ") for line in said)
    said.clear()
    assert envs.build(envs.spec_of(None, {"alpha-dist": "==1.0"}), "other", say=said.append) == built
    assert said == []


def test_other_pins_have_another_environment(said):
    one, two = (envs.build(envs.spec_of(None, {"alpha-dist": pin}), say=said.append) for pin in ("1.0", ">1"))
    assert (packages_of(one), packages_of(two)) == ("1.0\n", "2.0\n")
    assert [environment.key for environment in envs.environments()] == sorted([one.key, two.key])


def test_environments_of_several_steps_are_built_at_once_and_each_once(said):
    specs = {"a": {"alpha-dist": "1.0"}, "b": {"alpha-dist": "2.0"}, "c": {"alpha-dist": "1.0"}}
    built = envs.build_all({step: envs.spec_of(None, pins) for step, pins in specs.items()}, say=said.append)
    assert built["a"] == built["c"] != built["b"]
    assert sum("built in" in line for line in said) == 2


def test_a_pin_that_cannot_be_had_leaves_nothing_behind(said, tmp_path):
    with pytest.raises(RequirementError, match=r"fit cannot be installed: .*alpha-dist==9"):
        envs.build(envs.spec_of(None, {"alpha-dist": "9"}), "fit", say=said.append)
    assert envs.environments() == ()
    assert list((tmp_path / "cache" / "environments" / ".building").iterdir()) == []


def test_a_build_that_was_killed_leaves_no_environment_and_the_next_one_makes_it(said, tmp_path):
    spec = envs.spec_of(None, {"alpha-dist": "1.0"})
    code = "from kit import envs; envs.os.rename = lambda *_: __import__('time').sleep(60); "
    code += "envs.build(envs.spec_of(None, {'alpha-dist': '1.0'}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    record = tmp_path / "cache" / "environments" / ".building" / spec.key / "kit-environment.json"
    deadline = time.monotonic() + 60
    while not record.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert record.exists()
    assert envs.known(spec) is None
    assert packages_of(envs.build(spec, say=said.append)) == "1.0\n"
    assert not record.exists()


def test_two_processes_that_want_one_environment_build_it_once(said):
    code = "from kit import envs; print(envs.build(envs.spec_of(None, {'alpha-dist': '1.0'}), say=print).key)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert "".join(outputs).count("built in") == 1
    assert len({output.splitlines()[-1] for output in outputs}) == 1


def test_an_environment_whose_python_is_gone_is_built_anew(said):
    spec = envs.spec_of(None, {"alpha-dist": "1.0"})
    Path(envs.build(spec, say=said.append).interpreter).unlink()
    assert envs.known(spec) is None
    assert packages_of(envs.build(spec, say=said.append)) == "1.0\n"


def test_environments_are_removed_by_the_beginnings_of_their_keys(said):
    built = envs.build(envs.spec_of(None, {"alpha-dist": "1.0"}), say=said.append)
    with pytest.raises(NotFoundError, match="0 environments have a key that begins with 'zz'"):
        envs.remove(["zz"])
    assert envs.remove([built.key[:6]]) == (built,)
    assert envs.environments() == ()
    assert not built.folder.exists()


@pytest.mark.parametrize(
    ("name", "version"), [("--index-url", "x"), ("alpha", "1.0\n--pre"), ("alpha", "1 --pre"), ("alpha", "@ ext::sh")]
)
def test_pins_that_smuggle_something_are_refused(name, version):
    with pytest.raises(RequirementError):
        envs.spec_of(None, {name: version})


def test_credentials_of_an_index_are_not_kept(said):
    spec = envs.EnvironmentSpec(None, ("alpha-dist @ https://me:secret@host.invalid/alpha_dist-1.0-py3-none-any.whl",))
    with pytest.raises(RequirementError) as caught:
        envs.build(spec, "fit", say=said.append)
    assert "secret" not in str(caught.value) + "".join(said)


# ------------------------------------------------------------------ Pythons


def test_another_patch_of_the_same_minor_takes_the_place_of_a_python_and_says_so():
    found, note = interpreters.find_python(".".join([*THIS.split(".")[:2], "999"]), installer.find_uv())
    assert found.version.split(".")[:2] == THIS.split(".")[:2]
    assert re.fullmatch(rf"Python {THIS.rpartition('.')[0]}\.999 is not here: .* takes its place\.", note)


@pytest.mark.parametrize("wanted", [None, THIS])
def test_the_python_that_runs_this_is_taken_where_it_serves(wanted):
    found, note = interpreters.find_python(wanted, installer.find_uv())
    assert (found.path, note) == (sys.executable, "")


def test_a_python_that_is_nowhere_is_an_error_that_lists_those_that_are(said):
    with pytest.raises(RequirementError, match=rf"Python 3\.99 is not on this machine; there are .*{re.escape(THIS)}"):
        interpreters.find_python("3.99", installer.find_uv())


def test_pyenvs_pythons_are_found_off_the_path(tmp_path, monkeypatch, said):
    folder = tmp_path / "versions" / "3.98.1" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin")
    found, _ = interpreters.find_python("3.98", installer.find_uv())
    assert found.home == "pyenv"


# ------------------------------------------------------------------ locks


def test_a_lock_holds_what_was_resolved_and_other_pins_make_it_stale(said, tmp_path):
    flow = tmp_path / "train.py"
    spec = envs.spec_of(None, {"beta": ""})
    locks.write(flow, {"fit": (spec, envs.build(spec, say=said.append))})
    assert json.loads(locks.path_of(flow).read_text())
    found, note = locks.locked(flow, "fit", spec)
    assert (found.requirements, found.locked, note) == (("alpha-dist==2.0", "beta==1.0"), True, "")
    other = envs.spec_of(None, {"beta": "1.0"})
    found, note = locks.locked(flow, "fit", other)
    assert found == other
    assert note == "train.lock.json is of other pins of fit than it has now: kit env lock makes it anew."


def test_a_lock_that_cannot_be_read_is_an_error(tmp_path):
    flow = tmp_path / "train.py"
    locks.path_of(flow).write_text("{")
    with pytest.raises(KitError, match="cannot be read as a lock file"):
        locks.locked(flow, "fit", envs.spec_of(None, {}))


def test_a_reused_environment_starts_no_process(said, monkeypatch):
    spec = envs.spec_of(None, {"alpha-dist": "1.0"})
    envs.build(spec, say=said.append)
    started = threading.active_count()
    monkeypatch.setattr(subprocess, "Popen", None)
    monkeypatch.setattr(os, "fork", None)
    assert envs.build(spec, say=said.append)
    assert threading.active_count() == started
