"""Calls that set something for what comes after them: a style, a filter, the seed of random numbers."""

from __future__ import annotations

import ast
import re

__all__ = ["given_to", "only_seeds", "seeds", "sets"]

# Calls that set something in the module that they belong to: `np.random.seed(0)`, `plt.style.use("ggplot")`.
SETTING = re.compile(
    r"^(seed|manual_seed(_all)?|seed_\w+|set_\w+|set|use|filterwarnings|simplefilter|basicConfig|setLevel"
    r"|setrecursionlimit|setlocale|rc|rcdefaults|seterr|disable_warnings|disable|captureWarnings|addHandler|pandas)$"
)
SEEDING = re.compile(r"^(seed|manual_seed(_all)?|seed_\w+|set_(\w+_)?seed)$")


def sets(call: ast.Call) -> bool:
    """Whether a call of a module's function sets something in that module."""
    return bool(SETTING.match(_last(call.func)))


def seeds(call: ast.Call) -> bool:
    """Whether a call of a module's function seeds random numbers."""
    return bool(SEEDING.match(_last(call.func)))


def only_seeds(function: ast.FunctionDef) -> bool:
    """Whether a function seeds random numbers and gives nothing back: `seed_everything(seed)`."""
    nodes = [*ast.walk(function)]
    gives = any(isinstance(each, ast.Return) and each.value is not None for each in nodes)
    gives |= any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in nodes)
    return (
        not gives and not function.decorator_list and any(isinstance(each, ast.Call) and seeds(each) for each in nodes)
    )


def given_to(call: ast.Call) -> list[ast.expr]:
    """Give the arguments of a call."""
    return [*call.args, *(word.value for word in call.keywords)]


def _last(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]
