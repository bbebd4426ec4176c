import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genrec_cli.core.errors import UsageError, WorkspaceError
from genrec_cli.core.workspace import (
    DATASET_MANIFEST,
    RUN_MANIFEST,
    Workspace,
    check_name,
    publish,
    read_json,
    write_json,
)

MANIFEST = DATASET_MANIFEST


def make(target: Path, content: str, *, force: bool = False, fail: bool = False) -> None:
    """Publish a folder of one file and a manifest, or fail between the two."""
    with publish(target, MANIFEST, force=force, command="genrec make") as staging:
        (staging / "table").write_text(content)
        if fail:
            raise RuntimeError("midway")
        write_json(staging / MANIFEST, {"created": content})


def finished(folder: Path, created: str, manifest: str = MANIFEST) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / manifest, {"created": created})
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def another_process() -> Iterator[int]:
    """Id of a process that lives until the block ends."""
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process.pid
        process.kill()


def test_a_published_folder_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "data" / "one"
    with publish(target, MANIFEST, force=False, command="genrec make") as staging:
        (staging / "table").write_text("half")
        assert not target.exists()
    assert names(target.parent) == ["one"]
    assert names(target) == ["table"]


def test_an_error_midway_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="midway"):
        make(tmp_path / "one", "new", fail=True)
    assert names(tmp_path) == []


def test_an_error_midway_leaves_the_old_one_whole(tmp_path: Path) -> None:
    make(tmp_path / "one", "old")
    with pytest.raises(RuntimeError, match="midway"):
        make(tmp_path / "one", "new", force=True, fail=True)
    assert names(tmp_path) == ["one"]
    assert (tmp_path / "one" / "table").read_text() == "old"


def test_nothing_finished_is_overwritten_without_force(tmp_path: Path) -> None:
    make(tmp_path / "one", "old")
    with pytest.raises(WorkspaceError) as caught:
        make(tmp_path / "one", "new")
    assert caught.value.message == (
        f"{tmp_path / 'one'} is finished already, and nothing finished is overwritten"
    )
    assert caught.value.fix == "genrec make --force   (or give the new one its own --name)"
    assert (tmp_path / "one" / "table").read_text() == "old"


def test_force_replaces_the_whole_folder(tmp_path: Path) -> None:
    make(tmp_path / "one", "old")
    (tmp_path / "one" / "stray").write_text("from before")
    make(tmp_path / "one", "new", force=True)
    assert names(tmp_path) == ["one"]
    assert names(tmp_path / "one") == [MANIFEST, "table"]
    assert (tmp_path / "one" / "table").read_text() == "new"


def test_an_unfinished_folder_is_replaced_without_force(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "table").write_text("half")
    make(tmp_path / "one", "new")
    assert (tmp_path / "one" / "table").read_text() == "new"


def test_what_dead_processes_left_is_swept_and_what_living_ones_make_is_not(
    tmp_path: Path,
) -> None:
    with another_process() as pid:
        theirs = [f".partial-{pid}-two", f".partial-{pid}-old-two"]
        for name in theirs:
            (tmp_path / name / "deep").mkdir(parents=True)
        make(tmp_path / "one", "new")
        assert names(tmp_path) == sorted([*theirs, "one"])
    make(tmp_path / "three", "new")
    assert names(tmp_path) == ["one", "three"]


def test_leftovers_of_a_dead_process_with_our_own_id_are_swept(tmp_path: Path) -> None:
    # In a container every run may be process 7.
    for name in (f".partial-{os.getpid()}-one", f".partial-{os.getpid()}-old-one"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stray").write_text("left")
    make(tmp_path / "one", "old")
    make(tmp_path / "one", "new", force=True)
    assert names(tmp_path) == ["one"]
    assert names(tmp_path / "one") == [MANIFEST, "table"]


def test_the_newest_is_the_one_created_last_whatever_the_files_say(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    newest = finished(workspace.dataset("b"), "2026-03-01T00:00:00.000000+00:00")
    older = finished(workspace.dataset("c"), "2026-01-01T00:00:00.000000+00:00")
    finished(workspace.dataset("a"), "2026-02-28T23:59:59.999999+00:00")
    os.utime(older / MANIFEST)  # the newest file
    assert workspace.find_dataset(None) == newest
    assert workspace.find_dataset("c") == older


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "no dataset has been prepared yet in {root}"),
        ("half", "no dataset 'half' in {root}"),
    ],
)
def test_an_unfinished_dataset_is_never_found(
    tmp_path: Path, name: str | None, message: str
) -> None:
    workspace = Workspace(tmp_path)
    (workspace.dataset("half")).mkdir(parents=True)
    finished(tmp_path / "data" / ".partial-1-other", "2026")  # renamed by nobody
    with pytest.raises(WorkspaceError) as caught:
        workspace.find_dataset(name)
    assert caught.value.message == message.format(root=tmp_path)
    assert caught.value.fix == "genrec prepare sample   (or: genrec prepare movielens)"


def test_an_unknown_dataset_is_told_which_there_are(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("b", "a"):
        finished(workspace.dataset(name), "2026")
    with pytest.raises(WorkspaceError) as caught:
        workspace.find_dataset("c")
    assert caught.value.message == f"no dataset 'c' in {tmp_path}; there are: a, b"


def test_runs_are_found_by_dataset_name_and_age(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    old = finished(workspace.runs("toys") / "nano-1", "2026-01", RUN_MANIFEST)
    new = finished(workspace.runs("films") / "nano-1", "2026-02", RUN_MANIFEST)
    two = finished(workspace.runs("toys") / "nano-2", "2026-01-15", RUN_MANIFEST)
    (workspace.runs("toys") / "nano-3").mkdir()  # unfinished
    assert workspace.find_run(None, None) == new
    assert workspace.find_run(None, "nano-1") == new  # of two with one name, the newest
    assert workspace.find_run("toys", None) == two
    assert workspace.find_run("toys", "nano-1") == old
    assert workspace.finished_runs(None) == [old, two, new]
    assert workspace.finished_runs("toys") == [old, two]


@pytest.mark.parametrize(
    ("dataset", "name", "message", "fix"),
    [
        (
            "films",
            "half",
            "run 'half' has not finished ({root}/runs/films/half)",
            "genrec finetune --resume --dataset films --name half   (unless it is still training)",
        ),
        (
            "films",
            None,
            "run 'half' has not finished ({root}/runs/films/half)",
            "genrec finetune --resume --dataset films --name half   (unless it is still training)",
        ),
        (
            "toys",
            "half",
            "no run 'half' on dataset 'toys' in {root}; there are: nano-1",
            "genrec finetune",
        ),
        ("games", None, "no finished run on dataset 'games' in {root}", "genrec finetune"),
        (None, "x", "no run 'x' in {root}; there are: nano-1", "genrec finetune"),
    ],
)
def test_a_run_that_is_not_there_or_not_finished_is_said_so(
    tmp_path: Path, dataset: str | None, name: str | None, message: str, fix: str
) -> None:
    workspace = Workspace(tmp_path)
    (workspace.runs("films") / "half").mkdir(parents=True)
    finished(workspace.runs("toys") / "nano-1", "2026", RUN_MANIFEST)
    with pytest.raises(WorkspaceError) as caught:
        workspace.find_run(dataset, name)
    assert caught.value.message == message.format(root=tmp_path)
    assert caught.value.fix == fix


def test_json_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    document = {"title": "Amélie", "hash": None, "list": [1, 2.5]}
    write_json(tmp_path / "a.json", document)
    assert read_json(tmp_path / "a.json") == document
    assert names(tmp_path) == ["a.json"]


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": 1, "bad": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("name", ["", " ", ".hidden", "..", "a/b", "../x", "a\\b", "a\0", "a,b"])
def test_a_name_that_cannot_be_a_folders_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        check_name(name)


@pytest.mark.parametrize("name", ["ml-1m", "my_shop 2", "Läden", "v1.2"])
def test_other_names_are_taken(name: str) -> None:
    check_name(name)


def test_a_damaged_neighbour_does_not_hide_a_dataset(tmp_path: Path) -> None:
    whole = finished(tmp_path / "data" / "whole", "2026")
    damaged = finished(tmp_path / "data" / "damaged", "2027")
    (damaged / MANIFEST).write_text("{")
    assert Workspace(tmp_path).find_dataset(None) == whole
