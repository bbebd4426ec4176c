import os
import subprocess
import sys
import time

import pytest
import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from genrec_cli import __version__
from genrec_cli.cli import app

from .console import Console

HEAVY = ("torch", "transformers", "pyarrow", "numpy")


def commands() -> dict[str, TyperCommand]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return {name: c for name, c in group.commands.items() if isinstance(c, TyperCommand)}


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    program = "import sys, genrec_cli.cli; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "genrec_cli.cli" in loaded
    assert not loaded & set(HEAVY)


def test_preparing_does_not_wait_for_torch(console: Console) -> None:
    program = (
        "import sys; from genrec_cli.cli import main; "
        "code = main(['prepare', 'sample', '--quiet']); "
        "sys.exit(code or 'torch' in sys.modules or 'transformers' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], env=os.environ | console.environment)
    assert run.returncode == 0
    assert (console.workspace / "data" / "sample" / "dataset.json").exists()


def test_help_answers_within_half_a_second(console: Console) -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        with console.start("--help") as process:
            said, _ = process.communicate()
        seconds.append(time.perf_counter() - start)
        assert process.returncode == 0
        assert "genrec" in said
    assert min(seconds) < 0.5


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", commands())
def test_every_command_shows_its_options(console: Console, name: str, flag: str) -> None:
    said = console.done(name, flag).out
    for option in commands()[name].params:
        if isinstance(option, TyperOption):
            assert option.opts[0] in said
    assert "Example" in said or name == "doctor"


@pytest.mark.parametrize("name", commands())
def test_every_option_says_what_it_does(name: str) -> None:
    command = commands()[name]
    assert command.help
    for param in command.params:
        assert isinstance(param, TyperOption | TyperArgument)
        text = param.help
        assert text, f"{name} {param.name}"
        assert text.endswith((".", "]", "…")), f"{name} {param.name}: {text}"


@pytest.mark.parametrize("name", commands())
def test_every_command_has_the_options_that_all_share(name: str) -> None:
    spelled = {spelling for param in commands()[name].params for spelling in param.opts}
    assert {"--workspace", "--json", "--quiet", "--debug"} <= spelled


def test_the_version_is_shown(console: Console) -> None:
    assert console.done("--version").out == f"genrec {__version__}\n"


def test_without_a_command_help_is_shown(console: Console) -> None:
    outcome = console()
    assert "Usage: genrec" in outcome.out + outcome.err
    assert outcome.code == 2
