"""What the flows share: dependencies, data, model. It knows no step and no `self`, so a notebook can call all of it.

numpy is imported inside the functions that need it: `import common` is quick, and works in a step that has yet to
install it. Put your own data and model in the place of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from metaflow import Run

# {import name: requirement}. Repeated in pyproject.toml.
DEPENDENCIES = {"numpy": "numpy>=1.26,<3"}

DAYS = 730  # two years
TEST_MODE_DAYS = 120
FEWEST_DAYS = 30
PENALTIES = (0.01, 1.0, 100.0)
DEGREE = 4  # of the polynomial in the temperature


class ConfigurationError(ValueError):
    """A Parameter has a value that the flow cannot work with."""


class TrainRunError(LookupError):
    """There is no TrainFlow run to predict with."""


@dataclass(frozen=True, eq=False)  # no ==: that of two arrays is an array
class Days:
    """Days of a bike rental.

    Args:
        temperature: degrees Celsius, a float array of shape (days,).
        weekend: whether it is one, a boolean array of shape (days,).
        rentals: bikes rented, a float array of shape (days,).
    """

    temperature: np.ndarray
    weekend: np.ndarray
    rentals: np.ndarray

    def __len__(self) -> int:
        return len(self.rentals)

    def chosen(self, which: np.ndarray) -> Days:
        """Give some of the days: `which` is a boolean array of shape (days,)."""
        return Days(self.temperature[which], self.weekend[which], self.rentals[which])


@dataclass(frozen=True, eq=False)
class Model:
    """A ridge regression.

    Args:
        coefficients: a float array of shape (features,).
        penalty: what it was fitted with.
    """

    coefficients: np.ndarray
    penalty: float

    def predict(self, days: Days) -> np.ndarray:
        """Predict the rentals of each day, a float array of shape (days,)."""
        return features(days) @ self.coefficients


def check_configuration(days: int, seed: int) -> None:
    """Check the Parameters before anything heavy runs.

    Raises:
        ConfigurationError: One of them is out of range.
    """
    if days < FEWEST_DAYS:
        raise ConfigurationError(f"days is {days}: at least {FEWEST_DAYS} are needed.")
    if seed < 0:
        raise ConfigurationError(f"seed is {seed}: it must not be negative.")


def load_days(days: int, seed: int) -> Days:
    """Make up days of a bike rental: more of them rented when it is warm, fewer when it is hot, more at weekends."""
    import numpy as np

    rng = np.random.default_rng(seed)
    day = np.arange(days)
    temperature = 12 - 11 * np.cos(2 * np.pi * day / 365) + rng.normal(0, 4, days)
    weekend = day % 7 >= 5
    rentals = 900 + 60 * temperature - 1.4 * (temperature - 10).clip(0) ** 2 + 250 * weekend
    return Days(temperature, weekend, (rentals + rng.normal(0, 90, days)).clip(0))


def split(days: Days) -> tuple[Days, Days, Days]:
    """Split days into those to train on, those to choose a model by, and those to evaluate it on: of five, 3, 1, 1."""
    import numpy as np

    turn = np.arange(len(days)) % 5
    return days.chosen(turn < 3), days.chosen(turn == 3), days.chosen(turn == 4)


def features(days: Days) -> np.ndarray:
    """Give the features of each day: powers of the temperature and the weekend, shape (days, DEGREE + 2)."""
    import numpy as np

    scaled = (days.temperature - 12) / 10
    return np.column_stack([scaled**power for power in range(DEGREE + 1)] + [days.weekend.astype(float)])


def fit(days: Days, penalty: float) -> Model:
    """Fit a ridge regression (Hoerl and Kennard, Technometrics 12, 1970); the intercept is not penalised."""
    import numpy as np

    x = features(days)
    penalties = np.diag([0.0, *[penalty] * (x.shape[1] - 1)])
    return Model(np.linalg.solve(x.T @ x + penalties, x.T @ days.rentals), penalty)


def error(model: Model, days: Days) -> float:
    """Give the root mean squared error of a model, in rentals a day."""
    return float(((model.predict(days) - days.rentals) ** 2).mean() ** 0.5)


def latest_train_run() -> Run:
    """Find the latest TrainFlow run that succeeded.

    Raises:
        TrainRunError: There is none in this namespace.
    """
    from metaflow import Flow
    from metaflow.exception import MetaflowNotFound

    try:
        run = Flow("TrainFlow").latest_successful_run
    except MetaflowNotFound:
        run = None
    if run is None:
        raise TrainRunError("There is no TrainFlow run to predict with: `python flows/train.py run` makes one.")
    return run
