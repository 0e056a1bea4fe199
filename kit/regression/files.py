"""The reports that `kit test` leaves as files, and the annotations that GitHub shows on a notebook's own lines."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET  # it is written here, not read
from collections.abc import Iterator
from pathlib import Path

from kit.annotations import annotation
from kit.model import Verdict
from kit.project import Project
from kit.regression.compared import NotebookVerdict
from kit.regression.judge import cell_name, own_failure
from kit.regression.suite import Outcome

__all__ = ["github_annotations", "junit", "write_reports"]

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MAX_ANNOTATED = 10  # GitHub shows ten of a step


def write_reports(
    project: Project, outcome: Outcome, html: Path | None, junit_file: Path | None, coverage: str = ""
) -> tuple[str, ...]:
    """Write the reports that were asked for; under GitHub Actions, give its annotations too.

    Args:
        project: The project.
        outcome: What came of the suite.
        html: The file of the HTML report, or None.
        junit_file: The file of the JUnit report, or None.
        coverage: The report of what the flows covered; empty where it was not measured.

    Returns:
        Lines to print.
    """
    lines = []
    if html is not None:
        from kit.regression.html_report import html_report

        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(html_report(outcome, html.resolve().parent, coverage), encoding="utf-8")
        lines.append(f"HTML report: {html}")
    if junit_file is not None:
        junit_file.parent.mkdir(parents=True, exist_ok=True)
        junit_file.write_text(junit(outcome), encoding="utf-8")
        lines.append(f"JUnit report: {junit_file}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        workspace = Path(os.environ.get("GITHUB_WORKSPACE", project.root))
        lines += list(github_annotations(project, outcome, workspace))[:MAX_ANNOTATED]
    return tuple(lines)


# ---------------------------------------------------------------------------- JUnit


def junit(outcome: Outcome) -> str:
    """Write what came of the suite as JUnit XML: a test case for each flow and each notebook."""
    verdicts = outcome.verdicts
    counts = {
        "tests": len(verdicts),
        "failures": sum(verdict.status == "failed" for verdict in verdicts),
        "errors": 0,
        "skipped": sum(verdict.status == "not run" for verdict in verdicts),
    }
    seconds = f"{sum(verdict.seconds for verdict in verdicts):.3f}"
    attributes = {"name": "kit test", "time": seconds, **{name: str(count) for name, count in counts.items()}}
    suites = ET.Element("testsuites", attributes)
    suite = ET.SubElement(suites, "testsuite", attributes)
    for verdict in verdicts:
        name = {"classname": f"kit.{verdict.kind}", "name": _xml(verdict.name), "time": f"{verdict.seconds:.3f}"}
        case = ET.SubElement(suite, "testcase", name)
        if isinstance(verdict, NotebookVerdict):
            case.set("file", _xml(verdict.name))
            case.set("line", str(verdict.line))
        if verdict.status == "failed":
            ET.SubElement(case, "failure", message=_xml(verdict.detail)).text = _xml(verdict.report)
        elif verdict.status == "not run":
            ET.SubElement(case, "skipped", message=_xml(f"not run: {verdict.detail}"))
        said = [verdict.detail] if verdict.status == "passed" and verdict.detail else []
        said += verdict.notes
        if said:
            ET.SubElement(case, "system-out").text = _xml("\n".join(said))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Leave out colours, and what XML cannot hold."""
    return NOT_XML.sub("", ANSI.sub("", text))


# ---------------------------------------------------------------------------- GitHub


def github_annotations(project: Project, outcome: Outcome, workspace: Path) -> Iterator[str]:
    """Give GitHub's workflow commands: an error on the line of each cell that failed or differs.

    Args:
        project: The project.
        outcome: What came of the suite.
        workspace: The root of the checkout, which GitHub's paths begin at.
    """
    for verdict in outcome.verdicts:
        if verdict.status == "passed":
            continue
        if not isinstance(verdict, NotebookVerdict) or verdict.path is None:
            yield _command(verdict, {}, f"{verdict.detail}\n{verdict.report}")
            continue
        file = os.path.relpath(verdict.path, workspace)
        cells = verdict.comparison.differing if verdict.comparison is not None else ()
        for cell in cells:
            where = {"file": file, "line": str(cell.line or 1)}
            yield _command(verdict, where, "\n".join([cell_name(cell), *cell.lines]))
        if own_failure(verdict):
            yield _command(verdict, {"file": file, "line": str(verdict.line)}, f"{verdict.detail}\n{verdict.report}")


def _command(verdict: Verdict, where: dict[str, str], message: str) -> str:
    title = {"title": f"kit test: {verdict.name} {verdict.status}"}
    return annotation("error", where | title, ANSI.sub("", message).strip())
