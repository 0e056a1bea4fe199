"""Rules about flows: they parse, their steps are short, `start` fails fast."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kit.checks.findings import Finding
from kit.checks.subject import Subject
from kit.checks.syntax import body, flow_nodes, lines_of
from kit.checks.work import can_fail

__all__ = ["fail_fast", "step_length", "syntax"]


def syntax(subject: Subject) -> Iterator[Finding]:
    """Every Python file and every notebook of the project can be read.

    A file that does not parse cannot be checked by any other rule. Only the files of the flows' folder, the notebooks
    and what you name are read.
    """
    for module in subject.modules.values():
        if module.error is not None:
            line, reason = module.error
            yield Finding(module.path, line, f"does not parse: {reason}", "Mend it; no other rule has read this file.")
    for notebook in subject.notebooks:
        if notebook.error:
            mend = "Open it in JupyterLab and save it, or take it from git again."
            yield Finding(str(notebook.path), 1, f"is not a notebook: {notebook.error}", mend)


def step_length(subject: Subject) -> Iterator[Finding]:
    """Steps are short.

    A step says what happens in which order; the work is in functions of a module, which can be unit-tested, called from
    a notebook, and edited without a run. Statements are counted, those inside of loops, conditions and functions of the
    step too; its docstring, comments and the lines of a long text or call are not. `step_statements` under
    [tool.kit.check] in pyproject.toml says how many a step may have.
    """
    most = subject.settings.step_statements
    for flow, module, node in subject.steps:
        count = sum(isinstance(one, ast.stmt) for part in body(node) for one in flow_nodes(part))
        if count > most:
            yield Finding(
                module.path,
                node.lineno,
                f"step {node.name} of {flow} has {count} statements, more than {most}",
                "Move its work into functions of a module that the flow imports, such as common.py.",
                lines=lines_of(node),
            )


def fail_fast(subject: Subject) -> Iterator[Finding]:
    """`start` fails fast: it does something that can fail before the heavy steps do.

    A wrong Parameter, a missing file, table or model, a package that is not there: found in `start` it costs seconds,
    found in a later step it costs the hours, and the machines, of the steps before. So `start` should check: call a
    function that validates, open what the flow reads, install or import what it needs.

    A finding is a `start` that only assigns, prints and goes on, or swallows what fails (`except Exception`), in a flow
    whose later steps call something that can fail.

        def start(self):                            # a finding
            print("starting")
            self.next(self.fit)

        def start(self):                            # none
            self.rows = common.load(self.path)
            self.next(self.fit)

    A `start` that calls a function that may fail, reads anything, raises, asserts, looks a Parameter up or imports a
    package does enough, and so does a flow with nothing to fail: no calls but the everyday ones.
    """
    seen: set[int] = set()
    for flow in subject.flows:
        if "start" not in flow.steps or id(flow.steps["start"][1]) in seen:
            continue
        module, start = flow.steps["start"]
        seen.add(id(start))
        later = [step for name, step in flow.steps.items() if name != "start"]
        if later and not can_fail(flow, module, start, subject) and any(can_fail(flow, *step) for step in later):
            yield Finding(
                module.path,
                start.lineno,
                f"start of {flow.info.name} does nothing that can fail: a mistake is found in a later step",
                "Check there what the flow needs: its Parameters, its inputs, access to data, packages.",
                lines=lines_of(start),
            )
