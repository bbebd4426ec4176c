"""Which systems a bench measures."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from small_data import dataset_of

from genrec_cli.core.errors import UsageError
from genrec_cli.core.progress import SILENT, Task
from genrec_cli.core.settings import SearchSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.recommenders.baselines import BASELINES, CLASSICAL
from genrec_cli.recommenders.factors.ease import MOST_ITEMS
from genrec_cli.recommenders.hybrid import Hybrid, Reranked
from genrec_cli.recommenders.lineup import Lineup
from genrec_cli.recommenders.systems import find_system, parents_of


@dataclass
class Notes:
    """Writes down what is noted."""

    texts: list[str] = field(default_factory=list)

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        with SILENT.task(title, total, unit) as task:
            yield task

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def dataset() -> Dataset:
    return dataset_of([[0, 1, 2, 3]])


def names_of(lineup: Lineup, dataset: Dataset) -> list[str]:
    return list(lineup.makers(dataset, {}, SILENT))


def test_without_names_the_classical_baselines_are_meant_and_by_all_the_slow_ones_too(
    dataset: Dataset,
) -> None:
    assert names_of(Lineup(), dataset) == list(CLASSICAL)
    assert names_of(Lineup(("all",)), dataset) == list(BASELINES)
    assert len(CLASSICAL) < len(BASELINES)


def test_names_keep_their_order_and_count_once(dataset: Dataset) -> None:
    asked = ("rules", "popularity", "rules", "rules:popularity", "all")
    others = [name for name in BASELINES if name not in asked]
    expected = ["rules", "popularity", "rules:popularity", *others]
    assert names_of(Lineup(asked), dataset) == expected


def test_a_maker_makes_a_fresh_system_of_its_name(dataset: Dataset) -> None:
    asked = ("rules", "rules+popularity", "rules:popularity")
    for name, make in Lineup(asked).makers(dataset, {}, SILENT).items():
        assert make().name == name
        assert make() is not make()


def test_excluded_systems_are_left_out_and_must_exist(dataset: Dataset) -> None:
    left = names_of(Lineup((), ("rules", "sasrec")), dataset)
    assert left == [name for name in CLASSICAL if name != "rules"]
    assert names_of(Lineup(("rules+popularity", "ease"), ("rules+popularity",)), dataset) == [
        "ease"
    ]
    with pytest.raises(UsageError, match="unknown system 'rule'"):
        names_of(Lineup((), ("rule",)), dataset)
    with pytest.raises(UsageError, match="no system is left"):
        names_of(Lineup(("rules",), ("rules",)), dataset)


def test_what_is_too_large_is_left_out_unless_it_was_named(dataset: Dataset) -> None:
    large = replace(dataset, titles=["Film"] * (MOST_ITEMS + 1))
    notes = Notes()
    assert "ease" not in Lineup().makers(large, {}, notes)
    assert len(notes.texts) == 1
    assert notes.texts[0].startswith("leaving out: ease, 20,001 items are too many")
    assert names_of(Lineup(("ease",)), large) == ["ease"]


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("rules", None),
        ("rules+ease", ("rules", "ease")),
        ("rules:ease", ("rules", "ease")),
        ("my run-1:rules", ("my run-1", "rules")),
        ("+", ("", "")),
    ],
)
def test_a_name_tells_its_parents(name: str, parents: tuple[str, str] | None) -> None:
    assert parents_of(name) == parents


def test_plus_mixes_and_a_colon_orders() -> None:
    mixed = find_system("rules+popularity", {}, SearchSettings())()
    ordered = find_system("rules:popularity", {}, SearchSettings())()
    assert isinstance(mixed, Hybrid)
    assert isinstance(ordered, Reranked)
    for system in (mixed, ordered):
        assert [parent.name for parent in system.parents] == ["rules", "popularity"]


@pytest.mark.parametrize("name", ["nobody", "rules+", ":rules", "rules+ease+als", "rules+ease:als"])
def test_what_names_nothing_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(UsageError, match="^unknown system '.*'") as caught:
        find_system(name, {"nano-1": Path("nano-1")}, SearchSettings())
    assert caught.value.fix == f"known are: {', '.join([*BASELINES, 'nano-1'])}"


def test_two_runs_can_be_ordered_but_not_mixed() -> None:
    runs = {"one": Path("one"), "two": Path("two")}
    with pytest.raises(UsageError, match="a prior is a baseline, not a run") as caught:
        find_system("one+two", runs, SearchSettings())
    assert caught.value.fix == "write one:two to re-rank"
    with pytest.raises(UsageError, match="a prior is a baseline") as caught:
        find_system("rules+two", runs, SearchSettings())
    assert caught.value.fix == "write rules:two to re-rank, or two+rules to mix"
    assert find_system("one:two", runs, SearchSettings())().name == "one:two"
