"""Training runs of some steps: they learn, keep the best weights, and say so."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lessons import (
    Run,
    Scripted,
    assert_equal,
    assert_same_run,
    by_hand,
    checkpoints,
    fresh_model,
    learn,
    lesson,
    ranking,
)
from tiny import CPU, Steps, settings_for

from genrec_cli.core.errors import DataError, ModelError, UsageError
from genrec_cli.core.settings import Normaliser
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import NOWHERE
from genrec_cli.language.arguments import require_possible, tensorboard_wanted, trackers
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.networks import base_model
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.team import Team


@pytest.fixture(scope="module")
def prepared(dataset: Dataset, tokenizer: Tokenizer) -> Corpus:
    return make_corpus(dataset, tokenizer, settings_for())


@pytest.fixture(scope="module")
def finished(prepared: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = settings_for(batch_size=8, micro_batch_tokens=1024, max_steps=60, evaluations=4)
    taught = lesson(prepared, settings, ranking(prepared, settings))
    return learn(taught, tmp_path_factory.mktemp("run"))


def test_the_loss_falls_and_the_ranking_gets_better(finished: Run) -> None:
    first, last = finished.losses[:5], finished.losses[-5:]
    assert sum(last) < 0.8 * sum(first)
    before, best = finished.trained.before, finished.trained.best
    assert best["validation_loss"] < 0.8 * before["validation_loss"]
    assert best["NDCG@10"] > before["NDCG@10"]


def test_metrics_hold_every_step_and_every_evaluation(finished: Run) -> None:
    training = [line for line in finished.lines if "loss" in line]
    assert [line["step"] for line in training] == list(range(1, 61))
    assert all(line["tokens_per_second"] > 0 and line["peak_gb"] > 0 for line in training)
    evaluated = finished.evaluations
    assert list(evaluated) == [0, 15, 30, 45, 60]
    assert (finished.trained.steps, finished.trained.last_step) == (60, 60)
    assert finished.trained.before == evaluated[0]
    assert finished.trained.best == evaluated[finished.trained.best_step]


@pytest.mark.parametrize("over", ["catalog", "vocabulary"])
def test_figures_are_those_of_an_evaluation_by_hand(
    prepared: Corpus, tmp_path: Path, over: Normaliser
) -> None:
    settings = settings_for(max_steps=12, evaluations=3, normaliser=over)
    done = learn(lesson(prepared, settings, ranking(prepared, settings)), tmp_path)
    for model, recorded in ((fresh_model(), done.trained.before), (done.model, done.trained.best)):
        assert recorded == pytest.approx(by_hand(model, prepared, over), rel=1e-5)


# The first of equally good rankings is the best, unless another one's loss is smaller.
@pytest.mark.parametrize(
    ("found", "best_steps"),
    [((0.0, 0.2, 0.5, 0.3), {4}), ((0.0, 0.4, 0.1, 0.4), {2, 6}), ((0.9, 0.1, 0.0, 0.0), {2})],
)
def test_the_weights_of_the_best_ranking_are_kept(
    prepared: Corpus, tmp_path: Path, found: tuple[float, ...], best_steps: set[int]
) -> None:
    settings = settings_for(max_steps=6, evaluations=3)
    done = learn(lesson(prepared, settings, Scripted(*found)), tmp_path)
    best = done.trained.best_step
    losses = {step: done.evaluations[step]["validation_loss"] for step in best_steps}
    assert best == min(best_steps, key=lambda step: losses[step])
    assert done.trained.best == {"NDCG@10": pytest.approx(found[best // 2])} | {
        "validation_loss": losses[best]
    }
    kept = by_hand(done.model, prepared)["validation_loss"]
    assert kept == pytest.approx(losses[best], rel=1e-5)


def test_a_run_that_only_gets_worse_keeps_trained_weights_and_says_it(
    prepared: Corpus, tmp_path: Path
) -> None:
    steps = Steps()
    settings = settings_for(max_steps=2, evaluations=1, learning_rate=3.0)
    done = learn(lesson(prepared, settings), tmp_path, steps)
    assert done.trained.best["validation_loss"] > done.trained.before["validation_loss"]
    assert done.trained.best_step == 2
    assert "is worse than the untrained model" in steps.notes[-1]


def test_training_stops_when_it_has_not_got_better_for_long_enough(
    prepared: Corpus, tmp_path: Path
) -> None:
    settings = settings_for(max_steps=12, evaluations=12, patience=2)
    found = Scripted(0.0, 0.1, 0.3, 0.2, 0.4, 0.3, 0.2)
    done = learn(lesson(prepared, settings, found), tmp_path)
    assert list(done.evaluations) == [0, 1, 2, 3, 4, 5, 6]
    assert (done.trained.steps, done.trained.last_step, done.trained.best_step) == (12, 6, 4)
    kept = by_hand(done.model, prepared)["validation_loss"]
    assert kept == pytest.approx(done.evaluations[4]["validation_loss"], rel=1e-5)


def test_the_split_into_micro_batches_does_not_matter(prepared: Corpus, tmp_path: Path) -> None:
    runs = [
        learn(
            lesson(prepared, settings_for(max_steps=4, batch_size=8, micro_batch_tokens=tokens)),
            tmp_path / str(tokens),
        )
        for tokens in (16, 128, 4096)
    ]
    for other in runs[1:]:
        assert other.losses == pytest.approx(runs[0].losses, rel=1e-4)
        for name, weight in runs[0].weights.items():
            torch.testing.assert_close(other.weights[name], weight, atol=1e-4, rtol=0)


class SmallMemory:
    """A network that cannot be trained on more tokens at once, and finds out after a while."""

    def __init__(self, most: int, error: Exception) -> None:
        self.refused = 0
        self._most = most
        self._error = error
        self._passes = 0

    def model(self) -> Any:
        network = fresh_model()
        decoder = base_model(network).get_decoder()
        decoder.register_forward_pre_hook(self._look, with_kwargs=True)
        return network

    def _look(self, module: Any, _: Any, inputs: dict[str, Any]) -> None:
        self._passes += module.training
        # Every other time, so that a step fails after it has gathered some gradients.
        if module.training and inputs["input_ids"].numel() > self._most and self._passes % 2 == 0:
            self.refused += 1
            raise self._error


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_a_step_that_runs_out_of_memory_is_taken_again_in_smaller_pieces(
    prepared: Corpus, tmp_path: Path, error: Exception
) -> None:
    settings = settings_for(max_steps=3, batch_size=16, micro_batch_tokens=512)
    small = SmallMemory(128, error)
    survived = learn(lesson(prepared, settings), tmp_path / "small", model=small.model)
    whole = learn(lesson(prepared, settings), tmp_path / "large")
    assert small.refused == 2  # 512 tokens and 256; 128 from then on
    assert survived.losses == pytest.approx(whole.losses, rel=1e-4)
    for name, weight in whole.weights.items():
        torch.testing.assert_close(survived.weights[name], weight, atol=1e-4, rtol=0)


@pytest.mark.parametrize("error", [*OUT_OF_MEMORY, RuntimeError("another one")])
def test_an_error_that_smaller_pieces_do_not_mend_is_raised(
    prepared: Corpus, tmp_path: Path, error: Exception
) -> None:
    small = SmallMemory(0, error)
    with pytest.raises(type(error)) as raised:
        learn(lesson(prepared, settings_for(max_steps=3)), tmp_path, model=small.model)
    assert raised.value is error


def test_equal_seeds_give_equal_runs_and_other_seeds_others(
    prepared: Corpus, tmp_path: Path
) -> None:
    first, again, other = (
        learn(lesson(prepared, settings_for(seed=seed, max_steps=3)), tmp_path / str(number))
        for number, seed in enumerate((0, 0, 1))
    )
    assert_same_run(again, first)
    assert first.losses != other.losses


class NoNumber:
    """A network whose hidden states are no numbers in one pass of training."""

    def __init__(self, at: int) -> None:
        self.network = fresh_model()
        self.then: dict[str, torch.Tensor] = {}
        self._left = at
        self.network.get_decoder().register_forward_hook(self._spoil)

    def _spoil(self, module: Any, _: Any, output: Any) -> None:
        self._left -= module.training
        if module.training and self._left == 0:
            self.then = {key: value.clone() for key, value in self.network.state_dict().items()}
            output.last_hidden_state = output.last_hidden_state * torch.nan


def test_a_loss_that_is_no_number_stops_before_the_weights_change(
    prepared: Corpus, tmp_path: Path
) -> None:
    settings = settings_for(max_steps=8, evaluations=4, micro_batch_tokens=4096)  # a pass a step
    spoilt = NoNumber(at=6)
    with pytest.raises(ModelError) as error:
        learn(lesson(prepared, settings), tmp_path / "spoilt", model=lambda: spoilt.network)
    assert error.value.message == "the training loss is nan at step 6: training has diverged"
    assert error.value.fix == "lower the learning rate; the last good checkpoint is kept"
    assert_equal(spoilt.network.state_dict(), spoilt.then)
    assert checkpoints(tmp_path / "spoilt")[-1] == 4
    # Had it been a fault of the machine and not of the learning rate, nothing would be lost.
    resumed = learn(lesson(prepared, settings), tmp_path / "spoilt")
    assert_same_run(resumed, learn(lesson(prepared, settings), tmp_path / "whole"))


def test_a_validation_loss_that_is_no_number_stops_the_run(
    prepared: Corpus, tmp_path: Path
) -> None:
    settings = settings_for(max_steps=2, evaluations=1, learning_rate=1e30)
    with pytest.raises(ModelError) as error:
        learn(lesson(prepared, settings), tmp_path)
    assert error.value.message == "the validation loss is nan at step 2: training has diverged"


def test_nothing_is_said_but_through_the_progress(
    prepared: Corpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = Steps()
    settings = settings_for(max_steps=2)
    learn(lesson(prepared, settings, ranking(prepared, settings)), tmp_path, steps)
    assert capfd.readouterr() == ("", "")
    assert steps.done == 2
    assert steps.notes[0] == "measuring the untrained model on validation items"
    figures = {"validation_loss", "HR@10", "NDCG@10"}
    assert steps.shown.keys() == {"loss", "targets/s", "tokens/s", "GB"} | figures


def test_numbers_near_zero_are_what_they_were_after_training(
    prepared: Corpus, tmp_path: Path
) -> None:
    settings = settings_for(max_steps=1)
    learn(lesson(prepared, settings, ranking(prepared, settings)), tmp_path)
    assert sys.float_info.min / 2 > 0


def test_no_steps_leave_the_weights_as_they_were(prepared: Corpus, tmp_path: Path) -> None:
    settings = settings_for(max_steps=0)
    done = learn(lesson(prepared, settings, ranking(prepared, settings)), tmp_path)
    assert_equal(done.weights, fresh_model().state_dict())
    assert (done.trained.steps, done.trained.last_step, done.trained.best_step) == (0, 0, 0)
    assert done.trained.best == done.trained.before
    assert done.trained.before == pytest.approx(by_hand(done.model, prepared), rel=1e-5)


def test_a_dataset_without_a_single_target_is_refused(
    dataset: Dataset, tokenizer: Tokenizer
) -> None:
    settings = settings_for(context_titles=1000)
    with pytest.raises(DataError) as error:
        make_corpus(dataset, tokenizer, settings)
    assert "has nothing to train on" in error.value.message
    assert "context_titles = 1000" in error.value.message


def test_a_dataset_without_a_validation_item_is_refused(
    dataset: Dataset, tokenizer: Tokenizer
) -> None:
    nowhere = np.full(len(dataset.user_ids), NOWHERE)
    bounds = replace(dataset.bounds, validation=nowhere)
    with pytest.raises(DataError) as error:
        make_corpus(replace(dataset, bounds=bounds), tokenizer, settings_for())
    assert "has no validation item" in error.value.message


@pytest.mark.parametrize(
    ("values", "size", "kind", "message"),
    [
        ({"batch_size": 7}, 2, UsageError, "batch_size 7 cannot be shared by 2 devices"),
        ({"optimizer": "adamw-8bit"}, 1, ModelError, "optimizer adamw-8bit needs a CUDA GPU"),
        ({"report_to": ("excel",)}, 1, UsageError, "report_to names 'excel', which is no tracker"),
    ],
)
def test_what_cannot_be_trained_here_is_refused(
    values: dict[str, Any], size: int, kind: type[Exception], message: str
) -> None:
    require_possible(settings_for(), CPU, Team(size=size))
    with pytest.raises(kind) as error:
        require_possible(settings_for(**values), CPU, Team(size=size))
    assert str(error.value).splitlines()[0] == message
    assert "\n  fix: " in str(error.value)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a package importable that does nothing."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str) -> None:
        (tmp_path / f"{name}.py").write_text("")

    return make


def test_trackers_are_used_if_named_and_installed(install: Callable[[str], None]) -> None:
    wandb = settings_for(report_to=("wandb", "auto"))
    with pytest.raises(UsageError, match="report_to names 'wandb', which is not installed"):
        trackers(wandb)
    install("wandb")
    assert trackers(wandb) == ["wandb"]
    assert trackers(settings_for()) == ["none"]
    assert trackers(settings_for(report_to=("none",))) == ["none"]


def test_tensorboard_is_written_if_installed_and_not_refused(
    install: Callable[[str], None],
) -> None:
    auto, none, named = (
        settings_for(report_to=(name,)) for name in ("auto", "none", "tensorboard")
    )
    assert not tensorboard_wanted(auto)
    with pytest.raises(UsageError, match="tensorboard"):
        trackers(named)
    install("tensorboard")
    assert tensorboard_wanted(auto)
    assert tensorboard_wanted(named)
    assert not tensorboard_wanted(none)
    assert trackers(named) == ["none"]  # ours, in the run's folder, not the Trainer's
