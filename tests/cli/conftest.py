import shutil
from pathlib import Path
from typing import Any

import pytest

from .console import TINY_RUN, Console


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A workspace in which nothing has been done."""
    return Console(tmp_path / "workspace")


@pytest.fixture
def empty(console: Console) -> Console:
    """The same, by the name of what is in it."""
    return console


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A workspace with the dataset `sample` and no run; not to be changed."""
    console = Console(tmp_path_factory.mktemp("prepared") / "workspace")
    console.done("prepare", "sample")
    return console


@pytest.fixture(scope="session")
def finetuned(
    prepared: Console, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Console, dict[str, Any]]:
    """A workspace with a run of three steps, and what `finetune --json` said of it."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(prepared.workspace, folder / "workspace")
    config = folder / "tiny.yaml"
    config.write_text(TINY_RUN)
    console = Console(folder / "workspace")
    options = ("--base-model", "nano", "--max-steps", "3", "--config", config, "--json")
    return console, console.done("finetune", *options).json


@pytest.fixture(scope="session")
def trained(finetuned: tuple[Console, dict[str, Any]]) -> Console:
    """A workspace with the dataset `sample` and the run `nano-1`; it may be benched."""
    return finetuned[0]


@pytest.fixture
def changeable(trained: Console, tmp_path: Path) -> Console:
    """A copy of `trained`, to be changed."""
    shutil.copytree(
        trained.workspace, tmp_path / "workspace", ignore=shutil.ignore_patterns("checkpoints")
    )
    return Console(tmp_path / "workspace")
