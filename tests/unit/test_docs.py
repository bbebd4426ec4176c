"""The documentation names every command, option, module and preset that there is."""

import ast
import re
from pathlib import Path

import pytest
import typer.main

import genrec_cli
from genrec_cli.cli import app
from genrec_cli.presets import PRESETS

ROOT = Path(genrec_cli.__file__).parent
DOCS = ROOT.parent / "docs"
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
COMMANDS = typer.main.get_group(app).commands
COMMON = {"--workspace", "--json", "--quiet", "--debug", "--help"}


def test_every_module_stands_in_the_architecture_with_its_own_first_line() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for module in MODULES:
        docstring = ast.get_docstring(ast.parse((ROOT / module).read_text(encoding="utf-8")))
        assert docstring is not None, module
        assert f"| `{module}` | {docstring.splitlines()[0]} |" in page, module


def test_the_architecture_names_no_module_that_is_gone() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/]+\.py)` \|", page, flags=re.MULTILINE)
    assert sorted(named) == MODULES


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_stands_in_its_command_s_section(command: str) -> None:
    page = (DOCS / "usage.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    section = next(part for part in sections if part.startswith(f"genrec {command}\n"))
    options = {option for param in COMMANDS[command].params for option in param.opts}
    for option in {o for o in options if o.startswith("--")} - COMMON:
        assert f"`{option}`" in section, f"{command} {option}"


@pytest.mark.parametrize("option", sorted(COMMON))
def test_common_options_stand_once_at_the_top(option: str) -> None:
    page = (DOCS / "usage.md").read_text(encoding="utf-8")
    assert f"`{option}`" in page.split("\n## ")[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_stands_in_the_usage(preset: str) -> None:
    assert f"`{preset}`" in (DOCS / "usage.md").read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT.parent / "README.md", *DOCS.rglob("*.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
