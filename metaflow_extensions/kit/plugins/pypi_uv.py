"""`--environment=pypi-uv`: each step with @pypi runs in an environment of its own, built by uv, without conda.

Building is kit's part (kit.envs) and happens in the process that starts the run. The tasks import this module too, in
their own environments, where kit cannot be counted on and Python may be an old one: so it imports kit where it builds.
"""

import os
import sys
import tempfile

from metaflow import decorators
from metaflow.exception import MetaflowException
from metaflow.metaflow_config import get_pinned_conda_libs
from metaflow.metaflow_environment import InvalidEnvironmentException, MetaflowEnvironment
from metaflow.packaging_sys import ContentType
from metaflow.plugins.pypi.pypi_decorator import PyPIFlowDecorator, PyPIStepDecorator

TYPE = "pypi-uv"
UNPINNED = "unpinned"
REMOTE = frozenset({"batch", "kubernetes", "nvidia", "nvct", "slurm", "snowpark"})


class EnvironmentFailed(MetaflowException):
    """A step's environment cannot be built."""

    headline = "The environment of a step cannot be built"


class PypiUvEnvironment(MetaflowEnvironment):
    """Environments of uv for local runs."""

    TYPE = TYPE
    _force_rebuild = False

    def __init__(self, flow):
        super().__init__(flow)
        self.flow = flow
        self.local_root = None
        self._datastore = "local"
        self._interpreters = {}

    def set_local_root(self, local_root):
        """Take what core's @pypi tells its environment."""
        self.local_root = local_root

    def validate_environment(self, logger, datastore_type):
        """Remember the datastore, whose libraries each step needs."""
        self._datastore = datastore_type

    def init_environment(self, echo, only_steps=None):
        """Build the environments that are not there, those of several steps at the same time."""
        wanted = {}
        for step in self.flow:
            pinning = pinning_of(step)
            if pinning is None or (only_steps and step.name not in only_steps):
                continue
            self._refuse_remote(step)
            wanted[step.name] = pinning
        if not wanted:
            return
        try:
            from kit import envs, locks
            from kit.errors import KitError
        except ImportError as error:
            raise EnvironmentFailed(f"kit is not here to build it: {error}") from None
        try:
            specs = {}
            for step, (python, packages) in wanted.items():
                needed = {**get_pinned_conda_libs(python, self._datastore), **packages}
                specs[step], note = locks.locked(sys.argv[0], step, envs.spec_of(python, needed))
                if note:
                    echo("kit: " + note)
            built = envs.build_all(specs, say=echo, rebuild=self._force_rebuild)
        except KitError as error:
            raise EnvironmentFailed(str(error)) from None
        self._interpreters = {step: environment.interpreter for step, environment in built.items()}

    def interpreter(self, step_name):
        """Give the Python of a step's environment."""
        return self._interpreters[step_name]

    def pylint_config(self):
        """Let pylint not look for packages that are in other environments."""
        return [*super().pylint_config(), "--disable=F0401"]

    def _refuse_remote(self, step):
        remote = [decorator.name for decorator in step.decorators if decorator.name in REMOTE]
        if remote:
            raise InvalidEnvironmentException(
                f"--environment={TYPE} is for local runs: {step.name} has @{remote[0]}, which takes --environment=pypi."
            )


class PypiStepDecorator(PyPIStepDecorator):
    """@pypi: core's own, and in --environment=pypi-uv a step in an environment of uv."""

    name = "pypi"
    _home = None
    _variables = {}  # noqa: RUF012  # of the process, as core's @conda has them

    def step_init(self, flow, graph, step, decos, environment, flow_datastore, logger):
        """Take the settings of @pypi_base over, as core does."""
        self.environment = environment if environment.TYPE == TYPE else None
        if environment.TYPE == UNPINNED:  # one that a mutator has added since that environment took them off
            return
        seen = environment if self.environment is None else _SeenAsPypi(environment)
        super().step_init(flow, graph, step, decos, seen, flow_datastore, logger)

    def runtime_init(self, flow, graph, package, run_id):
        """Unpack the code package once: the environments have no Metaflow of their own."""
        cls = PypiStepDecorator
        if not self._acts() or cls._home is not None:
            return
        cls._home = tempfile.TemporaryDirectory(prefix="kit-code-")
        package.extract_into(cls._home.name, ContentType.ALL_CONTENT)
        cls._variables = package.get_post_extract_env_vars(package.package_metadata, cls._home.name) or {}

    def runtime_step_cli(self, cli_args, retry_count, max_user_code_retries, ubf_context):
        """Start the task with the Python of its environment."""
        if not self._acts():
            return
        for name, value in self._variables.items():
            if name == "PYTHONPATH":
                value = os.pathsep.join([value, self._home.name])
            cli_args.env[name.rstrip(":")] = value
        python = self.environment.interpreter(self.step)
        cli_args.env["PYTHONNOUSERSITE"] = "1"
        cli_args.env["PATH"] = os.pathsep.join(filter(None, [os.path.dirname(python), os.environ.get("PATH")]))
        cli_args.entrypoint[0] = python

    def runtime_finished(self, exception):
        """Remove the code."""
        if PypiStepDecorator._home is not None:
            PypiStepDecorator._home.cleanup()
            PypiStepDecorator._home = None

    def _acts(self):
        return self.environment is not None and not is_disabled(self)


class PypiFlowDecorator(PyPIFlowDecorator):
    """@pypi_base: core's own, and in --environment=pypi-uv for environments of uv."""

    name = "pypi_base"

    def flow_init(self, flow, graph, environment, flow_datastore, metadata, logger, echo, options):
        """Give every step a @pypi, as core does."""
        if environment.TYPE != TYPE:
            super().flow_init(flow, graph, environment, flow_datastore, metadata, logger, echo, options)
            return
        decorators._attach_decorators(flow, ["pypi"])
        decorators._process_late_attached_decorator(["pypi"], flow, graph, environment, flow_datastore, logger)


class _SeenAsPypi:
    """An environment as core's check of its type wants it."""

    TYPE = "pypi"

    def __init__(self, environment):
        self._environment = environment

    def __getattr__(self, name):
        return getattr(self._environment, name)


def is_disabled(decorator):
    """Tell whether a @pypi is switched off; --with gives its attributes as text."""
    return str(decorator.attributes["disabled"]).lower() in ("true", "1")


def pinning_of(step):
    """Give (python, packages) of a step's @pypi, or None where it has none that acts."""
    for decorator in step.decorators:
        if decorator.name == "pypi" and not is_disabled(decorator):
            return decorator.attributes["python"], decorator.attributes["packages"]
    return None
