"""What TrainFlow and PredictFlow share: pins, data, model, plots, and the way from one flow to the other.

It knows no step and no `self`, so a notebook can call all of it. Packages are imported inside the functions
that need them: `import common` is quick, and works in a step that has yet to install them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from matplotlib.figure import Figure
    from metaflow import DataArtifact, Run
    from sklearn.pipeline import Pipeline

# Pins by purpose, each {import name: requirement}; a step names those it needs. Repeated in pyproject.toml's
# extra `examples`, and tests/test_common.py holds the two together.
DEPENDENCIES = {
    "model": {"sklearn": "scikit-learn==1.7.2", "numpy": "numpy>=1.26,<3"},
    "plots": {"matplotlib": "matplotlib>=3.8,<4"},
}

COLLECTED = 1500  # the first images of the data set are there to train on; the others "came in later"
FEWEST = 100  # with fewer images a digit may be missing from a part of the split
TEST_MODE_IMAGES = 300  # as many train in a hundredth of a second


class ConfigurationError(ValueError):
    """A Parameter has a value that the flow cannot work with."""


class TrainRunError(LookupError):
    """There is no TrainFlow run, or no model in it, to predict with."""


@dataclass(frozen=True, eq=False)  # no ==: that of two arrays is an array
class Split:
    """The images and labels to train on, to choose a candidate by, and to evaluate the chosen one on.

    Args:
        x_train, x_validation, x_test: images, float arrays of shape (images, 64), pixels from 0 to 16.
        y_train, y_validation, y_test: the digits on them, integer arrays of shape (images,).
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def __repr__(self) -> str:
        train, validation, test = len(self.y_train), len(self.y_validation), len(self.y_test)
        return f"Split({train=}, {validation=}, {test=})"


@dataclass(frozen=True)
class Candidate:
    """A model trained with one setting of the hyperparameters.

    Args:
        params: the hyperparameters, {name: value}.
        model: the trained model.
        score: its accuracy on the validation images, from 0 to 1.
    """

    params: dict[str, float]
    model: Pipeline
    score: float


def check_configuration(*, seed: int = 0, limit: int | None = None, train_tag: str = "") -> None:
    """Check the values of the flows' Parameters, before anything is computed with them.

    Args:
        seed: what the split is drawn with.
        limit: the number of images to work with, or None for all.
        train_tag: the tag of the TrainFlow run to use, or "" for any run.

    Raises:
        ConfigurationError: for the first value that will not do.
    """
    if not 0 <= seed < 2**32:
        raise ConfigurationError(f"seed is {seed}, and must be from 0 to 2**32 - 1")
    if limit is not None and limit < FEWEST:
        raise ConfigurationError(f"limit is {limit}, and must be at least {FEWEST}: ten images a digit")
    if train_tag != train_tag.strip():
        raise ConfigurationError(f"train_tag is {train_tag!r}, and must not begin or end with a space")


def load_data(limit: int | None = None, seed: int = 0) -> Split:
    """Load the images collected so far, 60 % to train on, 20 % for validation and 20 % for the test.

    The digits are equally frequent in the three parts.

    Args:
        limit: use the first so many images, at least 100; None uses all 1500.
        seed: what the split is drawn with.

    Returns:
        The Split.

    Source:
        `digits` of scikit-learn: handwritten digits of 8 x 8 pixels, from E. Alpaydin and C. Kaynak,
        Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images, labels = images[:COLLECTED][:limit], labels[:COLLECTED][:limit]
    x_train, x_rest, y_train, y_rest = train_test_split(
        images, labels, test_size=0.4, stratify=labels, random_state=seed
    )
    x_validation, x_test, y_validation, y_test = train_test_split(
        x_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=seed
    )
    return Split(x_train, y_train, x_validation, y_validation, x_test, y_test)


def new_images(limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Load the images that came in later: no TrainFlow run has seen them.

    Args:
        limit: use the first so many; None uses all 297.

    Returns:
        The images, of shape (images, 64), and their labels, of shape (images,), which data that really
        comes in would not have.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images[COLLECTED:][:limit], labels[COLLECTED:][:limit]


def hyperparameters(test_mode: bool = False) -> list[dict[str, float]]:
    """List the settings to try, each for one task of the foreach.

    Args:
        test_mode: True gives two settings, enough to have something to choose from.

    Returns:
        The settings, named as scikit-learn names the parameters of a pipeline's step: "svc__C" is what an
        error costs, "svc__gamma" the inverse squared width of the kernel.
    """
    costs = (10,) if test_mode else (1, 10, 100)
    return [{"svc__C": cost, "svc__gamma": gamma} for cost in costs for gamma in (0.01, 0.1)]


def fit(split: Split, params: dict[str, float]) -> Candidate:
    """Train a support vector classifier, in one thread and with nothing random in it.

    Args:
        split: the data; the test part is left alone.
        params: the hyperparameters, as `hyperparameters` lists them.

    Returns:
        The trained Candidate with its validation score.

    Source:
        C. Cortes and V. Vapnik, Support-vector networks, Machine Learning 20, 1995; scikit-learn's SVC.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler
    from sklearn.svm import SVC

    model = make_pipeline(MinMaxScaler(), SVC()).set_params(**params)
    model.fit(split.x_train, split.y_train)
    score = model.score(split.x_validation, split.y_validation)
    return Candidate(params=params, model=model, score=float(score))


def best(candidates: Iterable[Candidate]) -> Candidate:
    """Choose the candidate with the highest validation score.

    A tie goes to the smaller C, then to the smaller gamma: the smoother model.

    Args:
        candidates: at least one, in any order. Whatever has `params` and `score` will do, such as the tasks
            that a join step gets.

    Returns:
        One of them.

    Raises:
        ValueError: if there are none.
    """
    return max(candidates, key=_merit)


def scores(candidates: Iterable[Candidate]) -> list[tuple[str, float]]:
    """Rank the candidates by their validation scores.

    Args:
        candidates: in any order, as for `best`.

    Returns:
        The setting of each, such as "C=10 gamma=0.1", and its score; the best first.
    """
    ranked = sorted(candidates, key=_merit, reverse=True)
    return [(_setting(candidate.params), candidate.score) for candidate in ranked]


def _merit(candidate: Candidate) -> tuple[float, float, float]:
    return candidate.score, -candidate.params["svc__C"], -candidate.params["svc__gamma"]


def _setting(params: dict[str, float]) -> str:
    return " ".join(f"{name.removeprefix('svc__')}={value:g}" for name, value in params.items())


def confusion(model: Pipeline, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count which digit is taken for which.

    Args:
        model: a trained model.
        images: of shape (images, 64).
        labels: the true digits, of shape (images,).

    Returns:
        Integers of shape (10, 10): entry (i, j) is the number of images of digit i that the model reads as j.
    """
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, model.predict(images), labels=range(10))


def accuracy(matrix: np.ndarray) -> float:
    """Return the fraction of right answers, from 0 to 1, in a matrix made by `confusion`."""
    return float(matrix.trace() / matrix.sum())


def plot_confusion(matrix: np.ndarray) -> Figure:
    """Draw which digit is taken for which.

    Args:
        matrix: counts of shape (10, 10), as `confusion` returns them.

    Returns:
        A Figure of its own, which pyplot does not know: there is none to close.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted digit", ylabel="true digit", title="Confusion")
    axes.imshow(matrix, cmap="Blues")
    axes.set(xticks=range(10), yticks=range(10))
    for row, column in zip(*matrix.nonzero(), strict=True):
        color = "white" if matrix[row, column] > matrix.max() / 2 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color)
    return figure


def plot_scores(rows: list[tuple[str, float]]) -> Figure:
    """Draw the candidates' validation scores.

    Args:
        rows: setting and score of each candidate, as `scores` returns them; the first is on top.

    Returns:
        A Figure of its own, which pyplot does not know: there is none to close.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 1 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot(xlabel="accuracy on the validation images", xlim=(0, 1), title="Candidates")
    bars = axes.barh([setting for setting, _ in rows], [score for _, score in rows], color="tab:blue")
    axes.bar_label(bars, fmt="%.3f", label_type="center", color="white")
    axes.invert_yaxis()
    return figure


def latest_train_run(tag: str | None = None) -> Run:
    """Find the run of TrainFlow to predict with: the latest that succeeded, in the namespace in use.

    Args:
        tag: a tag that the run must carry; None or "" takes any run.

    Returns:
        The run. It has a model, which is not loaded.

    Raises:
        TrainRunError: if there is no such run, or if it ended without a model.
    """
    from metaflow import Flow, get_namespace
    from metaflow.exception import MetaflowNamespaceMismatch, MetaflowNotFound

    _look_everywhere_if_told()
    try:
        runs = Flow("TrainFlow").runs(*([tag] if tag else []))
        run = next((run for run in runs if run.successful), None)
    except (MetaflowNotFound, MetaflowNamespaceMismatch):  # no run at all, or none in this namespace
        run = None
    if run is None:
        tagged = f" tagged {tag!r}" if tag else ""
        where = f"namespace {get_namespace()!r}" if get_namespace() else "any namespace"
        raise TrainRunError(f"no successful run of TrainFlow{tagged} in {where}: run train.py first")
    _model_artifact(run)
    return run


def load_model(pathspec: str) -> Pipeline:
    """Load the model that a run of TrainFlow chose.

    Args:
        pathspec: the run, such as "TrainFlow/12".

    Returns:
        The trained model.

    Raises:
        TrainRunError: if the run ended without a model.
        MetaflowNotFound, MetaflowNamespaceMismatch: Metaflow's own, if there is no such run here.
    """
    from metaflow import Run

    _look_everywhere_if_told()
    return _model_artifact(Run(pathspec)).data


def _model_artifact(run: Run) -> DataArtifact:
    """Find the model at the end of a run, without unpickling it."""
    if run.end_task is None or "model" not in run.end_task:
        raise TrainRunError(f"{run.pathspec} has no artifact 'model' at its end: run train.py again")
    return run.end_task["model"]


def _look_everywhere_if_told() -> None:
    """Let `run --namespace=` mean all namespaces: its tasks get "", where Metaflow's client finds nothing."""
    from metaflow import get_namespace, namespace

    if get_namespace() == "":
        namespace(None)
