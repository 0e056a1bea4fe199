"""`kit test` on notebooks in S3: read and written by papermill's own handlers, against an S3 server on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from s3_server import BUCKET, s3_server
from support import write_files
from test_cli import kit, notebook

from kit.errors import NotebookError
from kit.project import find_project
from kit.regression.discover import find_notebooks

pytestmark = pytest.mark.kernel

WHERE = f"s3://{BUCKET}/some/notebooks"


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """Give a client of a server that every process of the tests uses."""
    with s3_server() as (environ, _), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AWS_ENDPOINT_URL", environ["METAFLOW_S3_ENDPOINT_URL"])
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, environ[name])
        import boto3

        yield boto3.client("s3")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path / "project", {"pyproject.toml": "[tool.kit]\n", "flows/common.py": "WORD = 'grüß dich'\n"})
    return tmp_path / "project"


def put(store: Any, path: Path, *cells: str) -> None:
    notebook(path, *cells)
    store.upload_file(str(path), BUCKET, f"some/notebooks/{path.name}")


def test_notebooks_are_read_from_s3_and_executed_ones_and_reports_written_there(
    store: Any, project: Path, tmp_path: Path
) -> None:
    put(store, tmp_path / "a.ipynb", "# parameters\nword = ''", "%load_ext kit", "print(word, common.WORD)")
    put(store, tmp_path / "b c.ipynb", "1 / 0")
    done = kit(project, "test", WHERE, "-p", "word", "hello", "--output", f"s3://{BUCKET}/out/", "--html", "r.html")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"passed {WHERE}/a.ipynb" in done.stdout
    assert f"failed {WHERE}/b c.ipynb" in done.stdout
    keys = {each["Key"] for each in store.list_objects_v2(Bucket=BUCKET, Prefix="out/")["Contents"]}
    folder = f"out/s3/{BUCKET}/some/notebooks"
    assert keys == {"out/report.html", "out/junit.xml", f"{folder}/a.ipynb", f"{folder}/b c.ipynb"}
    text = store.get_object(Bucket=BUCKET, Key=f"{folder}/a.ipynb")["Body"].read().decode()
    node = nbformat.reads(text, as_version=4)
    nbformat.validate(node)
    assert node.cells[-1].outputs[0].text == "hello grüß dich\n"
    page = store.get_object(Bucket=BUCKET, Key="out/report.html")["Body"].read().decode()
    assert f'href="s3/{BUCKET}/some/notebooks/a.ipynb"' in page


def test_reference_beside_a_notebook_in_s3_is_compared_with(store: Any, project: Path, tmp_path: Path) -> None:
    here = project / "notebooks" / "a.ipynb"
    notebook(here, "print('one')")
    assert kit(project, "test", "--update").returncode == 0
    reference = json.loads((here.parent / "references" / "a.json").read_text())
    store.upload_file(str(here.parent / "references" / "a.json"), BUCKET, "some/notebooks/references/a.json")
    assert reference
    put(store, here, "print('one')")
    same = kit(project, "test", f"{WHERE}/a.ipynb")
    assert "outputs: 1 same" in same.stdout, same.stdout + same.stderr
    node = nbformat.read(here, as_version=4)
    node.cells[-1].source = "print('two')"
    nbformat.write(node, here)
    store.upload_file(str(here), BUCKET, "some/notebooks/a.ipynb")
    assert kit(project, "test", f"{WHERE}/a.ipynb").returncode == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"{WHERE}/none.ipynb", "cannot be read"),
        (f"s3://{BUCKET}/empty", "There are no notebooks"),
        (f"s3://{BUCKET}/../n.ipynb", "cannot be read"),
        ("no-such-scheme://x/n.ipynb", "cannot be read"),
    ],
)
def test_what_is_not_there_is_said(store: Any, project: Path, url: str, message: str) -> None:
    with pytest.raises(NotebookError, match=message):
        find_notebooks(find_project(project), [url])


def test_references_are_not_written_to_s3(project: Path) -> None:
    done = kit(project, "test", WHERE, "--update")
    assert done.returncode == 2
    assert "on this machine alone" in done.stderr
