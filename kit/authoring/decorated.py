"""Decorators of a step that is a cell, as Metaflow's `run --with` spells them: `retry:times=3`."""

from __future__ import annotations

from collections.abc import Sequence

from kit import internals
from kit.errors import ArgumentError, did_you_mean

__all__ = ["decorator_names", "decorator_text", "decorators_begun", "refuse_decorators"]

PINS = frozenset({"pypi", "conda"})


def decorator_names(specs: Sequence[str]) -> list[str]:
    """Name the decorators.

    Args:
        specs: Such as "retry:times=3".
    """
    return [spec.partition(":")[0] for spec in specs]


def decorators_begun(word: str) -> list[str]:
    """List what `--with` may go on to: decorators, and behind the colon their attributes.

    Args:
        word: What has been typed, such as "retry:ti".
    """
    name, colon, rest = word.partition(":")
    known = {kind.name: kind for kind in internals.STEP_DECORATORS if not kind.name.endswith("_internal")}
    if not colon:
        return [each for each in sorted(known) if each not in PINS]
    before = rest[: rest.rfind(",") + 1]
    return [f"{name}:{before}{each}=" for each in known[name].defaults] if name in known else []


def decorator_text(spec: str) -> str:
    """Write a decorator as a flow file has it, without its `@`.

    Args:
        spec: Such as "retry:times=3".

    Returns:
        Such as "retry(times=3)".
    """
    name, _, rest = spec.partition(":")
    _, attributes = internals.StepDecorator.extract_args_kwargs_from_decorator_spec(rest)
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in attributes.items())})" if attributes else name


def refuse_decorators(step: str, specs: Sequence[str]) -> None:
    """Make sure that Metaflow takes the decorators of a step.

    Args:
        step: The name of the step.
        specs: Such as "retry:times=3".

    Raises:
        ArgumentError: It does not take one of them.
    """
    known = {kind.name: kind for kind in internals.STEP_DECORATORS}
    for place, (spec, name) in enumerate(zip(specs, decorator_names(specs), strict=True)):
        if name in PINS:
            raise ArgumentError(f"--with {spec} of {step}: packages are pinned by --pypi.", "--pypi pandas==2.2.3")
        if name not in known or name.endswith("_internal"):
            there = [each for each in known if not each.endswith("_internal") and each not in PINS]
            raise ArgumentError(
                f"Metaflow has no step decorator {name}, which {step} is to have.",
                did_you_mean(name, sorted(there), "decorators"),
            )
        try:
            known[name].parse_decorator_spec(spec.partition(":")[2])
        except ValueError:
            raise ArgumentError(
                f"--with {spec} of {step} is not name:key=value.", "Write it as in retry:times=3."
            ) from None
        except internals.MetaflowException as error:
            raise ArgumentError(f"--with {spec} of {step}: {error}", "Write it as in retry:times=3.") from None
        if name in decorator_names(specs[:place]) and not known[name].allow_multiple:
            raise ArgumentError(f"{step} is to have @{name} twice.", "Say --with once for each decorator.")
