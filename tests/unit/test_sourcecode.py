"""What changes the hash of code, and what does not."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from genrec_cli.core import sourcecode

Edit = Callable[[str, str, str], None]

SOURCES = {
    "tools/__init__.py": '"""Tools."""',
    "tools/counting.py": '''
        """Counts."""

        from genrec_cli.tools.adding import added
        from genrec_cli.words.reading import read


        class Counter:
            """Counts things."""

            def count(self, path: str) -> int:
                """How many there are."""
                return added(len(read(path)), 0)  # nothing more
    ''',
    "tools/adding.py": '''
        """Adds."""


        def added(a: int, b: int) -> int:
            """The sum."""
            return a + b
    ''',
    "tools/idle.py": "LAZY = True",
    "words/__init__.py": "",
    "words/reading.py": "def read(path: str) -> str:\n    return path\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a few modules, in place of genrec's own."""
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.setattr(sourcecode, "_PACKAGE", tmp_path)
    return tmp_path


@pytest.fixture
def edit(package: Path) -> Edit:
    def replaced(name: str, old: str, new: str) -> None:
        text = (package / name).read_text()
        assert old in text
        (package / name).write_text(text.replace(old, new))

    return replaced


def hashed(within: str = "") -> str:
    sourcecode.code_hash.cache_clear()  # in a process of its own, code does not change
    try:
        return sourcecode.code_hash("tools.counting", within)
    finally:
        sourcecode.code_hash.cache_clear()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tools/counting.py", "  # nothing more", "  # nothing less"),
        ("tools/counting.py", '"""Counts."""', '"""Counts a lot."""'),
        ("tools/counting.py", '"""Counts things."""', '"""Counts persons."""'),
        ("tools/counting.py", '"""How many there are."""', '"""How many there will be."""'),
        ("tools/adding.py", "added(a: int, b: int)", "added(\n    a: int,\n    b: int,\n)"),
        ("tools/adding.py", "return a + b", "return (a + b)"),
        ("tools/idle.py", "True", "False"),  # nobody imports it
    ],
)
def test_words_and_layout_and_strangers_do_not_count(
    edit: Edit, name: str, old: str, new: str
) -> None:
    before = hashed()
    edit(name, old, new)
    assert hashed() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tools/counting.py", ", 0)", ", 1)"),
        ("tools/counting.py", "count(self", "tally(self"),
        ("tools/adding.py", "a + b", "a - b"),
        ("words/reading.py", "return path", "return path.lower()"),
    ],
)
def test_code_counts_also_where_it_is_imported_from(
    edit: Edit, name: str, old: str, new: str
) -> None:
    before = hashed()
    edit(name, old, new)
    assert hashed() != before


def test_imports_from_elsewhere_are_not_followed_if_so_asked(edit: Edit) -> None:
    before = hashed(within="tools")
    edit("words/reading.py", "return path", "return path.lower()")
    assert hashed(within="tools") == before
    edit("tools/adding.py", "a + b", "a - b")
    assert hashed(within="tools") != before


def test_modules_that_import_each_other_are_read_once(package: Path) -> None:
    adding = package / "tools" / "adding.py"
    adding.write_text(f"from genrec_cli.tools.counting import Counter\n{adding.read_text()}")
    assert len(hashed()) == 16


def test_own_code_is_found_whole() -> None:
    names = ["evaluation.protocol", "recommenders.counting.rules", "recommenders.genrec"]
    assert len({sourcecode.code_hash(name) for name in names}) == 3
