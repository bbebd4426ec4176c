from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec_cli.core.errors import DataError
from genrec_cli.data.itemlist import allowed_items, read_lines
from genrec_cli.data.newcatalog import Offer

IDS = ["7", "300", "b", "f-1"]
TITLES = ["Heat (1995)", "Emma (1996)", "300", "The Matrix (1999)"]
OFFER = Offer(IDS, TITLES, "dataset 'films'")
NAMES = st.sampled_from([(i, name) for names in (IDS, TITLES) for i, name in enumerate(names)])


def listed(folder: Path, name: str, content: bytes | None) -> Path | None:
    if content is None:
        return None
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("only", "without", "left"),
    [
        (b"7\n", None, [0]),
        (b"Emma (1996)\n7", None, [0, 1]),
        (b"7\n7\nHeat (1995)\n", None, [0]),
        ("\ufeff7\r\n\r\n  f-1 \r\n".encode(), None, [0, 3]),  # Windows
        (None, b"7\nb\n", [1, 3]),
        (None, b"\n", [0, 1, 2, 3]),  # nothing is sold out
        (b"7\nb\n", b"b\nf-1\n", [0]),
    ],
)
def test_items_are_named_by_id_or_title(
    tmp_path: Path, only: bytes | None, without: bytes | None, left: list[int]
) -> None:
    files = (listed(tmp_path, "only.txt", only), listed(tmp_path, "without.txt", without))
    allowed = allowed_items(OFFER, *files)
    assert allowed is not None
    assert allowed.nonzero()[0].tolist() == left


def test_without_lists_everything_may_be_recommended() -> None:
    assert allowed_items(OFFER, None, None) is None


@settings(max_examples=30)
@given(names=st.lists(NAMES.filter(lambda name: name[1] != "300"), min_size=1))
def test_what_one_list_allows_the_other_denies(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "list.txt"
    path.write_text("\n".join(name for _, name in names), encoding="utf-8")
    only = allowed_items(OFFER, path, None)
    assert only is not None
    assert set(only.nonzero()[0].tolist()) == {item for item, _ in names}
    if not only.all():
        without = allowed_items(OFFER, None, path)
        assert without is not None
        assert (without == ~only).all()


@pytest.mark.parametrize(
    ("only", "without", "message", "fix"),
    [
        (
            b"7\n\nHaet (1995)\n8\nnothing like it\n",
            None,
            "{only}:3: 'Haet (1995)' is neither an item id nor a title of dataset 'films'; "
            "2 more such lines below",
            "nearest: Heat (1995)",
        ),
        (
            None,
            b"f-2\n",
            "{without}:1: 'f-2' is neither an item id nor a title of dataset 'films'",
            "nearest: f-1",
        ),
        (
            b"\xc3\x84rger\n",
            None,
            "{only}:1: 'Ärger' is neither an item id nor a title of dataset 'films'",
            "delete that line",
        ),
        (
            b"7\n300\n",
            None,
            "{only}:2: '300' is the id of 'Emma (1996)' and the title of item 'b'",
            "write Emma (1996) or b",
        ),
        (b" \n\n", None, "{only}: names no item", "write one item id or title a line"),
        (
            b"7\n",
            b"Heat (1995)\n",
            "{without}: leaves nothing to recommend from {only}",
            "take some of its lines out",
        ),
        (
            None,
            b"7\nEmma (1996)\nb\nf-1\n",
            "{without}: leaves nothing to recommend from dataset 'films'",
            "take some of its lines out",
        ),
        (
            b"7\nAm\xe9lie\n",
            None,
            "{only}:2: byte 0xe9 is not UTF-8 text",
            "save the file as UTF-8",
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(
    tmp_path: Path, only: bytes | None, without: bytes | None, message: str, fix: str
) -> None:
    files = (listed(tmp_path, "only.txt", only), listed(tmp_path, "without.txt", without))
    with pytest.raises(DataError) as caught:
        allowed_items(OFFER, *files)
    assert caught.value.message == message.format(only=files[0], without=files[1])
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.txt", "No such file or directory"), (".", "Is a directory")]
)
def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        read_lines(tmp_path / name)
    assert caught.value.message == f"{tmp_path / name}: cannot be read: {reason}"
