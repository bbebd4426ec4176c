"""Courses of training: when they end, which weights they leave, and what a kill changes."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from genrec_cli.core.errors import ModelError
from genrec_cli.core.progress import SILENT
from genrec_cli.language.seeding import seeded
from genrec_cli.recommenders.neural.course import Course, Lesson

STEPS = 3  # of an epoch
Weights = dict[str, Tensor]


def made_network() -> nn.Module:
    with seeded(0):
        return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))


class Noise:
    """A lesson without sense, which may be killed before any of its losses and validations.

    Attributes:
        moments: how many of them there have been.
    """

    def __init__(self, network: nn.Module, kill_at: int | None = None) -> None:
        self._network, self._kill_at = network, kill_at
        self.moments = 0
        generator = torch.Generator().manual_seed(1)
        self._held_out = torch.randn(40, 4, generator=generator)

    def lesson(self, epochs: int) -> Lesson:
        return Lesson(self._losses, self._validate, epochs, patience=2)

    def _losses(self, epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(STEPS):
            self._pass_moment()
            # Nothing can be learnt, so that figures go up and down.
            questions, answers = torch.randn(2, 16, 4, generator=generator)
            yield self._error(questions, 100 * answers.sum(dim=1))

    @torch.no_grad()
    def _validate(self) -> float:
        self._pass_moment()
        return float(1 / (1 + self._error(self._held_out, self._held_out.sum(dim=1))))

    def _error(self, questions: Tensor, answers: Tensor) -> Tensor:
        return nn.functional.mse_loss(self._network(questions)[:, 0], answers)

    def _pass_moment(self) -> None:
        if self.moments == self._kill_at:
            raise KeyboardInterrupt
        self.moments += 1


def trained(
    folder: Path | None, kill_at: int | None = None
) -> tuple[Weights, list[dict[str, float]], int]:
    """Weights, curve without times, and moments of this process."""
    network = made_network()
    noise = Noise(network, kill_at)
    curve = Course(network, noise.lesson(epochs=12), 5, folder).run("small", SILENT)
    lines = [{**line, "seconds": 0} for line in curve]
    return network.state_dict(), lines, noise.moments


def test_a_course_that_was_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    weights, curve, moments = trained(None)
    # Some epochs were better, some worse, so that best weights and lower rates are at stake.
    figures = [line["NDCG@10"] for line in curve]
    best = [max(figures[: place + 1]) for place in range(len(figures))]
    stale = [now == before for before, now in pairwise(best)]
    assert (True, True) in pairwise(stale)
    assert len(set(best)) > 2
    assert moments == len(curve) * (STEPS + 1)
    for kill_at in range(moments):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            trained(folder, kill_at)
        resumed, lines, left = trained(folder)
        assert lines == curve
        assert left == moments - kill_at // (STEPS + 1) * (STEPS + 1)  # whole epochs are kept
        assert resumed.keys() == weights.keys()
        assert all(torch.equal(resumed[name], weights[name]) for name in weights)


def test_a_finished_course_is_not_taken_again(tmp_path: Path) -> None:
    weights, curve, _ = trained(tmp_path)
    again, lines, moments = trained(tmp_path)
    assert moments == 0
    assert lines == curve
    assert all(torch.equal(again[name], weights[name]) for name in weights)


class Script:
    """A lesson whose figures are written down beforehand; remembers the weights they were for."""

    def __init__(self, figures: list[float]) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        self.before: list[float] = []  # of each epoch
        self.after: list[float] = []
        self._figures = figures

    @property
    def weight(self) -> float:
        return float(self.network.weight.detach())

    def taught(self, patience: int) -> list[dict[str, float]]:
        lesson = Lesson(self._losses, self._validate, len(self._figures), patience)
        return Course(self.network, lesson, 0, None).run("script", SILENT)

    def _losses(self, epoch: int) -> Iterator[Tensor]:
        self.before.append(self.weight)
        yield -self.network(torch.ones(1, 1)).sum()  # the weight grows by the learning rate

    def _validate(self) -> float:
        self.after.append(self.weight)
        return self._figures[len(self.after) - 1]


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    script = Script([0.1, 0.3, 0.2, 0.3, 0.0])
    script.taught(patience=10)
    assert len(set(script.after)) == 5
    assert script.weight == script.after[1]  # of equal ones the first


def test_where_nothing_improves_training_slows_down_twice_from_the_best_weights_and_ends() -> None:
    script = Script([0.1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.4, 0.4, 0.9, 0.9])
    curve = script.taught(patience=2)
    assert [line["step"] for line in curve] == list(range(1, 9))
    best = script.after[1]
    assert [script.before[epoch] for epoch in (2, 4, 6)] == [best] * 3
    rates = [script.after[epoch] - script.before[epoch] for epoch in (2, 4, 6)]
    assert rates == pytest.approx([1e-3, 3e-4, 9e-5], rel=0.01)
    assert script.weight == best


def test_a_course_that_diverges_says_so_and_keeps_the_epoch_before(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)

    def losses(epoch: int) -> Iterator[Tensor]:
        yield network(torch.ones(1, 1)).sum() * (float("nan") if epoch == 2 else 1)

    course = Course(network, Lesson(losses, lambda: 0.5), 0, tmp_path)
    with pytest.raises(ModelError, match="small has diverged: its loss is nan in epoch 3"):
        course.run("small", SILENT)
    kept = torch.load(tmp_path / "training.pt", weights_only=True)
    assert kept["at"]["epoch"] == 2
    assert all(value.isfinite().all() for value in kept["network"].values())


@pytest.mark.parametrize("kept", [0, 1, 0.5])
def test_a_damaged_checkpoint_is_told_of_with_what_to_do(tmp_path: Path, kept: float) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, kill_at=9)
    [file] = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)] if kept < 1 else b"no checkpoint")
    with pytest.raises(ModelError, match="is damaged") as error:
        trained(tmp_path)
    assert str(file) in str(error.value.fix)
    file.unlink()
    assert trained(tmp_path)[1] == trained(None)[1]
