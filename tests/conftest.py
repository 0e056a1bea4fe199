"""What the tests share: small projects, real runs of their flows, and an environment that is nobody's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernel_client import Kernel
from support import USER, write_files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take minutes first: two workers then end at the same time."""
    weights: dict[Path, int] = {}
    for item in items:
        weight = 2 if item.get_closest_marker("matrix") else len({"flow", "kernel", "lab"} & {*item.keywords}) > 0
        weights[item.path] = max(weights.get(item.path, 0), weight)
    items.sort(key=lambda item: -weights[item.path])


@pytest.fixture(autouse=True)
def _neutral_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test as the user `tester`, without the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("METAFLOW_", "JUPYTERHUB_", "NB_USER", "SUDO_USER")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("USERNAME", USER)
    monkeypatch.setenv("METAFLOW_HOME", "/nonexistent")
    monkeypatch.setattr("kit.session._sessions", {})  # no run was named yet


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Write a project: {path: content}, dedented; gives its root."""

    def make(files: dict[str, str], root: Path = tmp_path / "project") -> Path:
        write_files(root, files)
        return root

    return make


@pytest.fixture
def start_kernel() -> Iterator[Callable[..., Kernel]]:
    """Start kernels in a folder, with variables; they end with the test."""
    kernels: list[Kernel] = []

    def start(folder: Path, **environ: str) -> Kernel:
        kernels.append(Kernel(folder, environ))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.close()


@pytest.fixture(scope="session")
def environments_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for environments that several tests use: one of a kernel takes half a minute to build."""
    return tmp_path_factory.mktemp("environments")
