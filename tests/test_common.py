"""The functions that the example flows share, on the data they are for."""

import importlib
import io
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parents[1]
FLOWS = PROJECT / "flows"
ENVIRONMENT = {**os.environ, "METAFLOW_USER": "tester", "PYTHONPATH": str(FLOWS)}

# As train.py names it and what it leaves at its end, but done in a second.
SHORT_TRAIN_FLOW = """
from metaflow import FlowSpec, Parameter, step

class TrainFlow(FlowSpec):
    outcome = Parameter("outcome")

    @step
    def start(self):
        if self.outcome == "failure":
            raise RuntimeError(self.outcome)
        if self.outcome != "no model":
            self.model = self.outcome
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    TrainFlow()
"""

ASK = """
import json, sys
import common
from metaflow import namespace

def answer(question):
    namespace(question["namespace"])
    try:
        value = getattr(common, question["function"])(*question["arguments"])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return getattr(value, "pathspec", value)

print(json.dumps([answer(question) for question in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def common():
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "common", raising=False)  # another test's
        patch.syspath_prepend(str(FLOWS))
        yield importlib.import_module("common")
        del sys.modules["common"]


@pytest.fixture(scope="module")
def split(common):
    return common.load_data(limit=common.TEST_MODE_IMAGES)


@pytest.fixture(scope="module")
def candidates(common, split):
    return [common.fit(split, params) for params in common.hyperparameters(test_mode=True)]


def candidate(common, score, cost, gamma):
    return common.Candidate(params={"svc__C": cost, "svc__gamma": gamma}, model=None, score=score)


def test_pins_are_those_of_the_examples_extra(common):
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pins = {pin for purpose in common.DEPENDENCIES.values() for pin in purpose.values()}
    assert pins <= set(extras["examples"])


def test_importing_common_imports_no_package():
    script = "import common, sys; print({'numpy', 'sklearn', 'matplotlib', 'metaflow'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=FLOWS, text=True).strip() == "set()"


def test_configuration_of_the_default_parameters_is_accepted(common):
    common.check_configuration(seed=0, limit=None, train_tag="")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("seed", -1), ("seed", 2**32), ("limit", 0), ("limit", 99), ("train_tag", " "), ("train_tag", "a ")],
)
def test_configuration_that_cannot_work_is_refused_by_name_and_value(common, parameter, value):
    with pytest.raises(common.ConfigurationError, match=f"^{parameter} is {value!r}, and must"):
        common.check_configuration(**{parameter: value})


def test_split_is_three_fifths_one_fifth_one_fifth(common):
    split = common.load_data()
    assert [len(split.x_train), len(split.x_validation), len(split.x_test)] == [900, 300, 300]
    assert [len(split.y_train), len(split.y_validation), len(split.y_test)] == [900, 300, 300]
    assert repr(split) == "Split(train=900, validation=300, test=300)"


@pytest.mark.parametrize("seed", range(5))
def test_every_digit_is_in_every_part_of_the_smallest_split(common, seed):
    split = common.load_data(limit=common.FEWEST, seed=seed)
    assert split.x_train.shape == (60, 64)
    for labels in (split.y_train, split.y_validation, split.y_test):
        assert set(labels) == set(range(10))


def test_seed_decides_the_split(common, split):
    again = common.load_data(common.TEST_MODE_IMAGES, seed=0)
    other = common.load_data(common.TEST_MODE_IMAGES, seed=1)
    assert (again.x_train == split.x_train).all()
    assert not (other.x_train == split.x_train).all()


def test_new_images_are_all_that_was_not_collected_for_training(common):
    import numpy as np
    from sklearn.datasets import load_digits

    images, labels = common.new_images()
    split = common.load_data()
    collected = np.concatenate([split.x_train, split.x_validation, split.x_test])
    everything = np.concatenate([collected, images])
    assert sorted(map(tuple, everything)) == sorted(map(tuple, load_digits().data))
    assert len(images) == len(labels) == 297


def test_new_images_are_limited_to_the_first(common):
    images, labels = common.new_images(50)
    assert (images == common.new_images()[0][:50]).all()
    assert len(labels) == 50


def test_test_mode_tries_fewer_of_the_same_settings(common):
    few, all_of_them = common.hyperparameters(test_mode=True), common.hyperparameters()
    assert 2 <= len(few) < len(all_of_them)
    assert all(params in all_of_them for params in few)


def test_fit_learns_the_digits(candidates):
    assert all(0.9 < candidate.score <= 1 for candidate in candidates)


def test_score_of_a_candidate_is_that_of_its_model(candidates, split):
    for candidate in candidates:
        assert candidate.model.score(split.x_validation, split.y_validation) == candidate.score


def test_fit_gives_the_same_bytes_again_even_with_recorded_settings(common, split, candidates):
    recorded = pickle.loads(pickle.dumps(candidates[0].params))
    assert pickle.dumps(common.fit(split, recorded)) == pickle.dumps(candidates[0])


def test_candidate_survives_the_datastore(candidates, split):
    loaded = pickle.loads(pickle.dumps(candidates[0]))
    assert (loaded.params, loaded.score) == (candidates[0].params, candidates[0].score)
    assert (loaded.model.predict(split.x_test) == candidates[0].model.predict(split.x_test)).all()


def test_best_has_the_highest_score(common):
    low, high = candidate(common, 0.8, 1, 0.1), candidate(common, 0.9, 100, 0.1)
    assert common.best([low, high]) is common.best([high, low]) is high


def test_best_of_a_tie_is_the_smoothest(common):
    smooth, sharp = candidate(common, 0.9, 10, 0.01), candidate(common, 0.9, 10, 0.1)
    dear = candidate(common, 0.9, 100, 0.01)
    assert common.best([dear, sharp, smooth]) is common.best([smooth, sharp, dear]) is smooth


def test_best_of_none_is_an_error(common):
    with pytest.raises(ValueError, match="empty"):
        common.best([])


def test_scores_are_ranked_with_the_best_on_top(common):
    rows = [candidate(common, 0.9, 10, 0.1), candidate(common, 0.9, 2, 0.1), candidate(common, 0.95, 1, 0.01)]
    ranking = [("C=1 gamma=0.01", 0.95), ("C=2 gamma=0.1", 0.9), ("C=10 gamma=0.1", 0.9)]
    assert common.scores(rows) == common.scores(reversed(rows)) == ranking


def test_confusion_counts_the_images_of_every_digit(common, candidates, split):
    matrix = common.confusion(candidates[0].model, split.x_test, split.y_test)
    assert matrix.shape == (10, 10)
    assert matrix.sum(axis=1).tolist() == [sum(split.y_test == digit) for digit in range(10)]


def test_accuracy_is_the_share_of_right_answers(common, candidates, split):
    model = candidates[0].model
    matrix = common.confusion(model, split.x_test, split.y_test)
    assert common.accuracy(matrix) == pytest.approx(model.score(split.x_test, split.y_test))


def test_confusion_is_drawn_with_its_counts(common, candidates, split):
    matrix = common.confusion(candidates[0].model, split.x_test, split.y_test)
    axes = common.plot_confusion(matrix).axes[0]
    drawn = {(text.get_position()[1], text.get_position()[0]): int(text.get_text()) for text in axes.texts}
    assert drawn == {(i, j): matrix[i, j] for i in range(10) for j in range(10) if matrix[i, j]}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted digit", "true digit")


def test_scores_are_drawn_as_bars_in_their_order(common):
    axes = common.plot_scores([("C=10", 0.9), ("C=1", 0.8)]).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.9, 0.8]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C=10", "C=1"]
    assert axes.yaxis_inverted()


def test_plots_are_drawn_without_pyplot(common, candidates):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    file = io.BytesIO()
    common.plot_scores(common.scores(candidates)).savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    assert pyplot.get_fignums() == before


def question(function, *arguments, namespace="user:tester"):
    return {"function": function, "arguments": arguments, "namespace": namespace}


def ask(questions, folder):
    """Ask in a process of its own, since Metaflow keeps datastore and namespace in globals."""
    command, asked = [sys.executable, "-c", ASK], json.dumps(questions)
    return json.loads(subprocess.check_output(command, input=asked, cwd=folder, env=ENVIRONMENT, text=True))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / ".metaflow").mkdir()  # two first runs at once would both make it, and one fail
    (folder / "train.py").write_text(SHORT_TRAIN_FLOW)
    return folder


@pytest.fixture(scope="module")
def runs(project):
    """A run of each outcome, two at the same time: their pathspecs by outcome."""

    def run(outcome):
        options = ["--outcome", outcome, "--tag", f"made {outcome}", "--run-id-file", f"{outcome}.txt"]
        command = [sys.executable, "train.py", "--no-pylint", "run", *options]
        done = subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == (outcome == "failure"), done.stderr
        return f"TrainFlow/{(project / f'{outcome}.txt').read_text()}"

    with ThreadPoolExecutor() as pool:
        old = list(pool.map(run, ["no model", "old model"]))
        new = list(pool.map(run, ["new model", "failure"]))
    return dict(zip(["no model", "old model", "new model", "failure"], old + new, strict=True))


@pytest.fixture(scope="module")
def answers(project, runs):
    questions = {
        "latest": question("latest_train_run"),
        "latest with an empty tag": question("latest_train_run", ""),
        "tagged": question("latest_train_run", "made old model"),
        "tagged, failed": question("latest_train_run", "made failure"),
        "tagged, without a model": question("latest_train_run", "made no model"),
        "in another namespace": question("latest_train_run", namespace="user:nobody"),
        "in all namespaces": question("latest_train_run", namespace=None),
        "in a task of `run --namespace=`": question("latest_train_run", namespace=""),
        "of none, in all namespaces": question("latest_train_run", "no such tag", namespace=None),
        "model": question("load_model", runs["old model"]),
        "model, in a task of `run --namespace=`": question("load_model", runs["old model"], namespace=""),
        "model of a run without": question("load_model", runs["no model"]),
        "model of a run that failed": question("load_model", runs["failure"]),
    }
    return dict(zip(questions, ask(list(questions.values()), project), strict=True))


@pytest.mark.flow
def test_latest_train_run_is_the_last_that_succeeded(answers, runs):
    assert answers["latest"] == answers["latest with an empty tag"] == runs["new model"]


@pytest.mark.flow
def test_tag_chooses_an_older_train_run(answers, runs):
    assert answers["tagged"] == runs["old model"]


@pytest.mark.flow
def test_tag_of_failed_train_runs_alone_finds_none(answers):
    assert answers["tagged, failed"] == (
        "TrainRunError: no successful run of TrainFlow tagged 'made failure' in namespace 'user:tester': "
        "run train.py first"
    )


@pytest.mark.flow
def test_train_run_without_a_model_is_refused(answers, runs):
    message = "TrainRunError: {} has no artifact 'model' at its end: run train.py again"
    assert answers["tagged, without a model"] == message.format(runs["no model"])
    assert answers["model of a run without"] == message.format(runs["no model"])
    assert answers["model of a run that failed"] == message.format(runs["failure"])


@pytest.mark.flow
def test_namespace_in_use_decides_which_train_runs_there_are(answers, runs):
    assert "no successful run of TrainFlow in namespace 'user:nobody'" in answers["in another namespace"]
    assert answers["in all namespaces"] == answers["in a task of `run --namespace=`"] == runs["new model"]


@pytest.mark.flow
def test_no_train_run_in_any_namespace_is_said_so(answers):
    assert "in any namespace: run train.py first" in answers["of none, in all namespaces"]


@pytest.mark.flow
def test_model_is_that_of_the_train_run(answers):
    assert answers["model"] == answers["model, in a task of `run --namespace=`"] == "old model"


def test_project_that_never_trained_has_no_train_run(tmp_path):
    (tmp_path / ".metaflow").mkdir()
    (answer,) = ask([question("latest_train_run")], tmp_path)
    assert answer.startswith("TrainRunError: no successful run of TrainFlow in namespace 'user:tester'")
