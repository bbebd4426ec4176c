"""Training runs of some steps: they learn, keep the best weights, resume exactly, and say so."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tiny import CPU, Steps, settings_for, tiny_llama

from genrec_cli.core.errors import ModelError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.corpus import Corpus, make_corpus
from genrec_cli.language.metrics_log import MetricsLog
from genrec_cli.language.objective import TrieLoss, head_weight, last_hidden
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.training import Trained, train
from genrec_cli.language.windows import collate

Weights = Mapping[str, torch.Tensor]


class Run(NamedTuple):
    """A training run that came to its end."""

    trained: Trained
    model: Any
    corpus: Corpus
    lines: list[dict[str, Any]]

    @property
    def weights(self) -> Weights:
        weights: Weights = self.model.state_dict()
        return weights

    @property
    def losses(self) -> list[float]:
        return [line["loss"] for line in self.lines if "loss" in line]


@pytest.fixture(scope="module")
def prepared(dataset: Dataset, tokenizer: Tokenizer) -> Corpus:
    return make_corpus(dataset, tokenizer, settings_for())


def run(
    corpus: Corpus, folder: Path, settings: FinetuneSettings, progress: Progress = SILENT
) -> Run:
    model = fresh_model(settings.dropout)
    folder.mkdir(exist_ok=True)
    trained = train(model, corpus, settings, CPU, folder, progress)
    return Run(trained, model, corpus, MetricsLog(folder / "metrics.jsonl").lines())


def fresh_model(dropout: float = 0.0) -> Any:
    return tiny_llama(vocabulary=400, initializer_range=0.02, attention_dropout=dropout)


def validation_loss(model: Any, corpus: Corpus) -> float:
    """Nats a title, one window at a time."""
    loss, total = TrieLoss(corpus.trie), 0.0
    with torch.no_grad():
        for row in range(len(corpus.validation)):
            batch = collate([corpus.validation[row]])
            hidden = last_hidden(model.eval(), batch["input_ids"])
            total += float(loss(hidden, batch["input_ids"], batch["nodes"], head_weight(model)))
    return total / len(corpus.validation)


@pytest.fixture(scope="module")
def finished(prepared: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = settings_for(batch_size=8, micro_batch_size=4, max_steps=60, evaluations=4)
    return run(prepared, tmp_path_factory.mktemp("run"), settings)


def test_the_loss_falls(finished: Run) -> None:
    first, last = finished.losses[:5], finished.losses[-5:]
    assert sum(last) < 0.8 * sum(first)
    assert finished.trained.loss < 0.8 * finished.trained.loss_before


def test_metrics_hold_every_step_and_every_evaluation(finished: Run) -> None:
    training = [line for line in finished.lines if "loss" in line]
    assert [line["step"] for line in training] == list(range(1, 61))
    assert all(line["tokens_per_second"] > 0 and line["peak_gb"] > 0 for line in training)
    evaluated = [line for line in finished.lines if "validation_loss" in line]
    assert [line["step"] for line in evaluated] == [0, 15, 30, 45, 60]
    assert finished.trained.steps == 60
    assert finished.trained.loss_before == evaluated[0]["validation_loss"]


def test_the_untrained_model_is_measured_as_naive_evaluation_does(finished: Run) -> None:
    expected = validation_loss(fresh_model(), finished.corpus)
    assert finished.trained.loss_before == pytest.approx(expected, rel=1e-5)


# Too little learning and too much: neither is at its best at the end.
@pytest.mark.parametrize("learning_rate", [3e-3, 0.3])
def test_the_weights_of_the_best_evaluation_are_kept(
    prepared: Corpus, tmp_path: Path, learning_rate: float
) -> None:
    settings = settings_for(max_steps=12, evaluations=6, learning_rate=learning_rate)
    done = run(prepared, tmp_path / "run", settings)
    evaluated = {x["step"]: x["validation_loss"] for x in done.lines if "validation_loss" in x}
    del evaluated[0]
    assert done.trained.best_step < 12
    assert done.trained.loss == min(evaluated.values()) == evaluated[done.trained.best_step]
    assert validation_loss(done.model, done.corpus) == pytest.approx(done.trained.loss, rel=1e-5)


def test_a_run_that_only_gets_worse_reports_the_loss_of_what_it_keeps(
    prepared: Corpus, tmp_path: Path
) -> None:
    settings = settings_for(max_steps=2, evaluations=1, learning_rate=3.0)
    done = run(prepared, tmp_path / "run", settings)
    assert done.trained.loss > done.trained.loss_before
    assert done.trained.best_step == 2
    assert validation_loss(done.model, done.corpus) == pytest.approx(done.trained.loss, rel=1e-5)


def test_the_split_into_micro_batches_does_not_matter(prepared: Corpus, tmp_path: Path) -> None:
    runs = [
        run(prepared, tmp_path / str(micro), settings_for(max_steps=4, micro_batch_size=micro))
        for micro in (1, 2, 4)
    ]
    for other in runs[1:]:
        assert other.losses == pytest.approx(runs[0].losses, rel=1e-4)
        for name, weight in runs[0].weights.items():
            torch.testing.assert_close(other.weights[name], weight, atol=1e-4, rtol=0)


def test_equal_seeds_give_equal_runs_and_other_seeds_others(
    prepared: Corpus, tmp_path: Path
) -> None:
    seeds = (0, 0, 1)
    runs = [
        run(prepared, tmp_path / str(i), settings_for(seed=s, max_steps=3))
        for i, s in enumerate(seeds)
    ]
    assert runs[0].losses == runs[1].losses
    assert runs[0].losses != runs[2].losses
    assert_equal(runs[0].weights, runs[1].weights)


def assert_equal(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


# An epoch is four steps; the first two runs go on within one, the third between two.
@pytest.mark.parametrize(("every", "stop_at", "resumed_at"), [(3, 5, 3), (3, 10, 9), (4, 9, 8)])
def test_a_resumed_run_ends_with_the_weights_of_one_never_stopped(
    prepared: Corpus, tmp_path: Path, every: int, stop_at: int, resumed_at: int
) -> None:
    settings = settings_for(
        batch_size=16, max_steps=11, evaluations=math.ceil(11 / every), dropout=0.1
    )
    assert math.ceil(len(prepared.training) / 16) == 4
    whole = run(prepared, tmp_path / "whole", settings)
    folder = tmp_path / "stopped"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(fresh_model(0.1), prepared, settings, CPU, folder, Steps(stop_at))
    checkpoints = (folder / "checkpoints").iterdir()
    assert max(int(path.name.split("-")[1]) for path in checkpoints) == resumed_at
    steps = Steps()
    resumed = run(prepared, folder, settings, steps)
    assert steps.done == 11
    assert resumed.trained == whole.trained
    assert_equal(resumed.weights, whole.weights)
    assert [line["step"] for line in resumed.lines] == [line["step"] for line in whole.lines]
    assert resumed.losses == whole.losses


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(
    prepared: Corpus, tmp_path: Path
) -> None:
    settings = settings_for(max_steps=6, evaluations=3)
    whole = run(prepared, tmp_path / "whole", settings)
    folder = tmp_path / "stopped"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(fresh_model(), prepared, settings, CPU, folder, Steps(3))
    torn = folder / "checkpoints" / "checkpoint-4"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    assert_equal(run(prepared, folder, settings).weights, whole.weights)


def test_a_run_stopped_after_its_last_checkpoint_resumes_without_another_step(
    prepared: Corpus, tmp_path: Path
) -> None:
    # Within an epoch, where the Trainer would take the next step of it.
    settings = settings_for(max_steps=8, evaluations=2)
    assert len(prepared.training) % 8
    whole = run(prepared, tmp_path / "run", settings)
    resumed = run(prepared, tmp_path / "run", settings)
    assert resumed.trained == whole.trained
    assert resumed.lines == whole.lines
    assert_equal(resumed.weights, whole.weights)


@pytest.mark.parametrize(
    ("max_steps", "message"),
    [
        (6, "the training loss is nan at step 3: training has diverged"),
        (2, "the validation loss is nan at step 2: training has diverged"),
    ],
)
def test_a_loss_that_is_no_number_stops_the_run(
    prepared: Corpus, tmp_path: Path, max_steps: int, message: str
) -> None:
    settings = settings_for(max_steps=max_steps, evaluations=1, learning_rate=1e30)
    with pytest.raises(ModelError) as error:
        run(prepared, tmp_path / "run", settings)
    assert error.value.message == message
    assert "lower the learning rate" in str(error.value.fix)


def test_nothing_is_said_but_through_the_progress(
    prepared: Corpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = Steps()
    run(prepared, tmp_path / "run", settings_for(max_steps=2), steps)
    assert capfd.readouterr() == ("", "")
    assert steps.done == 2
    assert steps.notes[0] == "measuring the untrained model's validation loss"
    # Two steps at this rate make the tiny model worse, which must not go unsaid.
    assert len(steps.notes) == 2
    assert steps.notes[1].startswith("the best checkpoint's validation loss")
    assert "is worse than the untrained model's" in steps.notes[1]
    assert steps.shown.keys() == {"loss", "targets/s", "tokens/s", "validation"}


def test_no_steps_leave_the_weights_as_they_were(prepared: Corpus, tmp_path: Path) -> None:
    done = run(prepared, tmp_path / "run", settings_for(max_steps=0))
    assert_equal(done.weights, fresh_model().state_dict())
    assert (done.trained.steps, done.trained.best_step) == (0, 0)
    assert done.trained.loss == done.trained.loss_before
    assert done.trained.loss == pytest.approx(validation_loss(done.model, prepared), rel=1e-5)
