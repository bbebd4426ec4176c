"""Whatever people get wrong: what it says, what mends it, and the exit code."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from .console import Console

FILES: Mapping[str, bytes] = {
    "cut.zip": b"PK\x03\x04" + b"x" * 96,
    "text.zip": b"hello",
    "broken/ratings.dat": b"1::1::5::978300760\n1::1::5\n",
    "broken/movies.dat": b"1::Heat (1995)::Drama\n",
    "commas/ratings.dat": b"1,1,5,978300760\n",
    "commas/movies.dat": b"1::Heat (1995)::Drama\n",
    "old/u.data": b"1\t1\t5\t978300760\n",
    "old/u.item": b"1|Heat (1995)|||" + b"|0" * 19 + b"\n",
    "short/ratings.dat": b"1::1::5::978300760\n" * 4,
    "short/movies.dat": b"1::Heat (1995)::Drama\n",
    "own.csv": b"who,item,date\nme,a,2024-01-02\nme,b,yesterday\n",
    "typo.yaml": b"epoch: 3\n",
    "negative.yaml": b"learning_rate: -1\n",
    "old.yaml": b"micro_batch_size: 4\n",
    "excel.yaml": b"report_to: [excel]\n",
    "eight.yaml": b"optimizer: adamw-8bit\n",
    "context.yaml": b"context_titles: 1000\n",
    "list.yaml": b"- epochs\n",
    "broken.yaml": b"epochs: 1\nseed: [\n",
    "nobody.txt": b"\n \n",
    "unknown.txt": b"Coco (2017)\n\nReservor Dogs (1992)\n???\n",
    "coco.txt": b"Coco (2017)\n",
    "prices.csv": b"item_id,price\n1,2.5\n",
    "twice.csv": b"item_id,title\n1,Heat\n1,Heat 2\n",
    "header.csv": b"item_id,title\n",
}


class Case(NamedTuple):
    """A command in a workspace, and what comes of it."""

    where: str
    args: str
    said: str
    code: int


def read_cases() -> list[Case]:
    text = Path(__file__).with_name("bad_input.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^\[(\w+)\] genrec (.+)\n((?:.+\n)+?)exit (\d)$", text, re.MULTILINE)
    return [Case(where, args, said, int(code)) for where, args, said, code in blocks]


CASES = read_cases()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.args)
def test_it_is_said_what_is_wrong_and_what_mends_it(
    case: Case, request: pytest.FixtureRequest, folder: Path
) -> None:
    console: Console = request.getfixturevalue(case.where)
    args = [part.replace("{tmp}", str(folder)) for part in case.args.split()]
    outcome = console(*args, "--quiet")
    said = case.said.replace("{tmp}", str(folder)).replace("{workspace}", str(console.workspace))
    assert (outcome.err, outcome.code) == (said, case.code)
    assert outcome.out == ""


def test_every_case_in_the_file_is_run() -> None:
    text = Path(__file__).with_name("bad_input.txt").read_text(encoding="utf-8")
    assert len(CASES) == text.count("\nexit ") >= 40


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        ("prepare", "Missing argument"),
        ("prepare netflix", "'netflix' is not one of"),
        ("prepare sample --ties luck", "'luck' is not one of 'hash', 'file'"),
        ("prepare sample --min-user five", "Invalid value for '--min-user'"),
        ("finetune --quantise nf4", "No such option: --quantise"),
        ("predict -k ten", "Invalid value for '-k' / '--k'"),
        ("bench 5", "Got unexpected extra argument"),
        ("benhc", "No such command 'benhc'"),
    ],
)
def test_wrong_usage_exits_with_2_and_a_hint(console: Console, args: str, hint: str) -> None:
    outcome = console(*args.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert hint in outcome.err
    assert not console.workspace.exists()


def test_debug_shows_the_traceback_of_an_error(console: Console) -> None:
    with console.start("prepare", "movielens", "--source", "gone.zip", "--debug") as process:
        _, said = process.communicate()
    assert process.returncode == 1
    assert said.startswith("Traceback (most recent call last)")
    assert "DataError: gone.zip: no such file or folder" in said


def test_an_error_leaves_stdout_to_json(console: Console) -> None:
    outcome = console("predict", "--user", "v001", "--json")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: no finished run")
