"""What the steps of a flow pin, read from real flow files, beside what is installed."""

import platform
import sys
from importlib import metadata

import pytest

from kit import flowfile
from kit.errors import KitError
from kit.model import Pin
from kit.pins import pins, unmet
from kit.project import find_project

NUMPY = metadata.version("numpy")
MINOR = ".".join(platform.python_version_tuple()[:2])

FLOW = """
    from metaflow import FlowSpec, conda, conda_base, pypi, pypi_base, step

    {flow_level}
    class PinnedFlow({base}):
        {step_level}
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass
"""


@pytest.fixture
def pinned(make_project):
    """Write a flow with decorators, load it, and give what it pins."""

    def read(step_level="", flow_level="", base="FlowSpec", **files):
        source = FLOW.format(step_level=step_level, flow_level=flow_level, base=base)
        root = make_project({"flows/pinned.py": source, **{f"flows/{name}.py": text for name, text in files.items()}})
        return pins(flowfile.load(find_project(root).flow("PinnedFlow")))

    return read


def wanted(found):
    """Give {step: {name: version}} of pins."""
    steps = {}
    for pin in found:
        steps.setdefault(pin.step, {})[pin.name] = pin.wanted
    return steps


@pytest.mark.parametrize(
    ("step_level", "flow_level", "expected"),
    [
        ("", "", {}),
        ('@pypi(packages={"numpy": "1.0"})', "", {"start": {"numpy": "1.0"}}),
        (
            '@pypi(python="3.9.13", packages={"a": "1", "b": ""})',
            "",
            {"start": {"python": "3.9.13", "a": "1", "b": ""}},
        ),
        ('@conda(libraries={"a": "1", "b": "1"}, packages={"b": "2"})', "", {"start": {"a": "1", "b": "2"}}),
        ("@pypi", "", {}),
        ("", '@pypi_base(packages={"a": "1"})', {"start": {"a": "1"}, "end": {"a": "1"}}),
        (
            "",
            '@conda_base(python="3.9", packages={"a": "1"})',
            {"start": {"python": "3.9", "a": "1"}, "end": {"python": "3.9", "a": "1"}},
        ),
        (
            '@pypi(packages={"a": "2", "b": "3"})',
            '@pypi_base(python="3.9", packages={"a": "1", "c": "4"})',
            {"start": {"python": "3.9", "a": "2", "c": "4", "b": "3"}, "end": {"python": "3.9", "a": "1", "c": "4"}},
        ),
        ('@conda(python="3.10")', '@conda_base(python="3.9")', {"start": {"python": "3.10"}, "end": {"python": "3.9"}}),
        ('@pypi(disabled=True, packages={"a": "2"})', "", {}),
        ("@conda(disabled=True)", '@conda_base(packages={"a": "1"})', {"end": {"a": "1"}}),
        ("@pypi(disabled=False)", '@pypi_base(disabled=True, packages={"a": "1"})', {"start": {"a": "1"}}),
        ('@pypi(packages={"b": "2"})', '@pypi_base(disabled=True, packages={"a": "1"})', {}),
    ],
)
def test_pins_of_the_flow_hold_for_every_step_and_those_of_a_step_beat_them(pinned, step_level, flow_level, expected):
    assert wanted(pinned(step_level, flow_level)) == expected


def test_pins_are_in_the_order_of_the_steps_in_the_source(pinned):
    found = pinned('@pypi(packages={"b": "1"})', '@pypi_base(python="3.9", packages={"a": "1"})')
    assert [(pin.step, pin.name) for pin in found] == [
        ("start", "python"),
        ("start", "a"),
        ("start", "b"),
        ("end", "python"),
        ("end", "a"),
    ]


def test_pins_of_a_base_flow_hold_for_the_flow_that_derives_from_it(pinned):
    base = """
        from metaflow import FlowSpec, pypi_base

        @pypi_base(packages={"a": "1"})
        class Base(FlowSpec):
            pass
    """
    found = pinned(flow_level="from base_of_pinned import Base", base="Base", base_of_pinned=base)
    sys.modules.pop("base_of_pinned")
    assert wanted(found) == {"start": {"a": "1"}, "end": {"a": "1"}}


CONFIGURED = """
    from metaflow import Config, FlowMutator, FlowSpec, config_expr, pypi, step

    import a_package_that_is_not_here
    from another_one import Base, decorate


    class Adds(FlowMutator):
        def mutate(self, mutable_flow):
            for name, each in mutable_flow.steps:
                if name == "end":
                    each.add_decorator(pypi, deco_kwargs={"packages": {"added": "2.0"}})


    class Model(Base):
        size = a_package_that_is_not_here.SIZE + 1


    @decorate
    def helper():
        pass


    @Adds
    class ConfiguredFlow(FlowSpec):
        config = Config("config", {default})

        @pypi(packages=config_expr("config.packages"))
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass
"""


def test_pins_are_what_configs_and_mutators_make_of_them_also_where_imports_are_missing(make_project):
    files = {"flows/configured.py": CONFIGURED.replace("{default}", 'default="flows/config.json"')}
    root = make_project({**files, "flows/config.json": '{"packages": {"a": "1.0"}}'})
    loaded = flowfile.read(find_project(root).flow("ConfiguredFlow"))
    assert wanted(pins(loaded)) == {"start": {"a": "1.0"}, "end": {"added": "2.0"}}
    assert wanted(pins(loaded, {"config": {"packages": {"b": "3.0"}}}))["start"] == {"b": "3.0"}
    assert "a_package_that_is_not_here" not in sys.modules


def test_pins_that_depend_on_a_config_without_a_value_are_an_error_that_names_it(make_project):
    root = make_project({"flows/configured.py": CONFIGURED.replace("{default}", "required=True")})
    with pytest.raises(KitError, match="its Config config has no value") as caught:
        pins(flowfile.read(find_project(root).flow("ConfiguredFlow")))
    assert "--flow ConfiguredFlow/RUN" in caught.value.hint


def test_pins_are_put_beside_what_is_installed(pinned):
    found = pinned('@pypi(python="3.9.13", packages={"numpy": "1.0", "no-such-package-anywhere": "1"})')
    assert found == (
        Pin("start", "python", "3.9.13", platform.python_version()),
        Pin("start", "numpy", "1.0", NUMPY),
        Pin("start", "no-such-package-anywhere", "1", None),
    )


@pytest.mark.parametrize(
    ("wants", "had", "met"),
    [
        ("1.2.3", "1.2.3", True),
        ("1.2", "1.2.0", True),
        ("1.2", "1.2.3", False),
        ("1.2.*", "1.2.3", True),
        (">=1.2,<2", "1.9", True),
        (">=1.2,<2", "2.0", False),
        (" >= 1.2 ", "1.9", True),
        ("~=1.2", "1.9", True),
        ("!=1.2", "1.2", False),
        ("==1.2", "1.2", True),
        (">=1.2", "2.0rc1", True),
        ("", "1.2", True),
        ("", None, False),
        ("1.2", None, False),
        ("@ git+https://host/x", "1.2", False),
        ("what?", "1.2", False),
        ("1.2", "not a version", False),
        (">=1.2", "not a version", False),
    ],
)
def test_a_pin_is_met_by_the_versions_that_it_allows(wants, had, met):
    pin = Pin("fit", "a", wants, had)
    assert unmet([pin]) == (() if met else (pin,))


@pytest.mark.parametrize(
    ("wants", "met"),
    [
        (platform.python_version(), True),
        (MINOR, True),
        ("3.9.13", False),
        ("2", False),
        (f">={MINOR}", True),
        ("3.1", False),
    ],
)
def test_an_interpreter_is_pinned_by_its_patch_or_by_its_minor_version(pinned, wants, met):
    assert (unmet(pinned(f'@conda(python="{wants}")')) == ()) is met
