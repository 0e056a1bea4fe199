"""Code from a cell in the place of a step's own. Standard library alone, of any Python that a step may pin."""

from __future__ import annotations

import ast
import textwrap
from types import CodeType, FunctionType
from typing import Any

__all__ = ["go_on", "replace_code"]

OWN_NAME = "_kit_step"  # not the step's: a step `fit` may call a function `fit` of its module


def replace_code(function: FunctionType, source: str, filename: str, line: int) -> None:
    """Let a function run other statements; its name, arguments and globals stay.

    Args:
        function: The function.
        source: The statements.
        filename: What tracebacks call the file that they are in.
        line: How many lines of that file lie before them.

    Raises:
        SyntaxError: The source does not parse, at its own line.
        ValueError: It needs what only a class statement gives a function.
    """
    before = function.__code__
    statements = ast.parse("\n" * line + source, filename).body or [ast.Pass()]
    arguments = before.co_varnames[: before.co_argcount]
    if before.co_freevars:  # code takes the place of other code only with the same free names
        names = ", ".join(before.co_freevars)
        statements = [*ast.parse(f"if False:\n    {names}").body, *statements]
    owner = function.__qualname__.rpartition(".")[0].rpartition(".")[2] or "Flow"  # private names are of a class
    maker = ast.parse(
        textwrap.dedent(f"""
        def maker():
            {" = ".join([*before.co_freevars, "None"])}
            class {owner}:
                def {OWN_NAME}({", ".join(arguments)}):
                    pass
        """)
    )
    for node in ast.walk(maker):  # a traceback shows a function from its first line on: the one above the body
        if isinstance(node, (ast.stmt, ast.expr, ast.arg)):
            node.lineno = node.end_lineno = max(line, 1)
    maker.body[0].body[1].body[0].body = statements  # type: ignore[attr-defined]
    code = compile(ast.fix_missing_locations(maker), filename, "exec", dont_inherit=True)
    made = _inner(_inner(_inner(code, "maker"), owner), OWN_NAME).replace(co_name=function.__name__)
    function.__code__ = _named(made, f"maker.<locals>.{owner}.{OWN_NAME}", function.__qualname__)


def _inner(code: CodeType, name: str) -> CodeType:
    return next(const for const in code.co_consts if isinstance(const, CodeType) and const.co_name == name)


def _named(code: CodeType, made_up: str, name: str) -> CodeType:
    """Let code, and what is defined inside of it, be called by the name of the step."""

    def renamed(constant: Any) -> Any:
        if isinstance(constant, CodeType):
            return _named(constant, made_up, name)
        inside = isinstance(constant, str) and constant.startswith(f"{made_up}.")
        return name + constant[len(made_up) :] if inside else constant

    own = getattr(code, "co_qualname", "")  # from Python 3.11 on
    qualified: dict[str, Any] = {"co_qualname": name + own[len(made_up) :]} if own.startswith(made_up) else {}
    return code.replace(co_consts=tuple(map(renamed, code.co_consts)), **qualified)


def go_on(flow: Any, node: Any) -> None:
    """Make the transition that the flow file makes, after a body that made none.

    Args:
        flow: The flow object.
        node: The step's node in Metaflow's FlowGraph.
    """
    steps = [getattr(flow, name) for name in node.out_funcs]
    if node.type == "split-switch":
        cases = {case: getattr(flow, name) for case, name in node.switch_cases.items()}
        flow.next(cases, condition=node.condition)
    elif node.foreach_param:
        flow.next(*steps, foreach=node.foreach_param)
    elif steps and not node.parallel_foreach:
        flow.next(*steps)
