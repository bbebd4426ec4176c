from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from genrec_cli.core.errors import UsageError
from genrec_cli.core.settings import (
    FinetuneSettings,
    Layer,
    PrepareSettings,
    read_yaml,
    resolve,
    with_settings,
)
from genrec_cli.presets import PRESETS


@pytest.mark.parametrize(
    ("preset", "config", "flag", "value", "origin"),
    [
        (None, None, None, 3, "default"),
        (4, None, None, 4, "preset"),
        (4, 5, None, 5, "config"),
        (4, None, 6, 6, "flag"),
        (None, 5, 6, 6, "flag"),
        (4, 5, 6, 6, "flag"),
        (4, 5, 5, 5, "flag"),  # the strongest that gave a value, though it changed nothing
    ],
)
def test_a_flag_beats_the_file_beats_the_preset_beats_the_default(
    preset: float | None, config: float | None, flag: float | None, value: float, origin: str
) -> None:
    given = {"preset": preset, "config": config, "flag": flag}
    layers = [Layer(name, {"epochs": epochs}) for name, epochs in given.items()]
    resolved = resolve(FinetuneSettings, layers)
    assert (resolved.settings.epochs, resolved.origins["epochs"]) == (value, origin)


def test_every_setting_has_an_origin() -> None:
    resolved = resolve(PrepareSettings, [Layer("flag", {"seed": 3})])
    expected = dict.fromkeys(PrepareSettings.model_fields, "default") | {"seed": "flag"}
    assert resolved.origins == expected


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("min_users", "did you mean 'min_user'?"),
        ("tie", "did you mean 'ties'?"),
        ("zzz", f"known are: {', '.join(sorted(PrepareSettings.model_fields))}"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(PrepareSettings, [Layer("my.yaml", {key: None})])
    assert caught.value.message == f"unknown option '{key}' in my.yaml"
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"epochs": 0},
            "option 'epochs' (my.yaml) cannot be 0: input should be greater than 0",
        ),
        (
            {"epochs": float("inf")},
            "option 'epochs' (my.yaml) cannot be inf: input should be a finite number",
        ),
        (
            {"batch_size": "many"},
            "option 'batch_size' (my.yaml) cannot be 'many': "
            "input should be a valid integer, unable to parse string as an integer",
        ),
        (
            {"quantize": "nf5"},
            "option 'quantize' (my.yaml) cannot be 'nf5': input should be 'none', 'nf4' or 'int8'",
        ),
        (
            {"seed": -1},
            "option 'seed' (my.yaml) cannot be -1: input should be greater than or equal to 0",
        ),
        (
            {"seed": 2**32},
            "option 'seed' (my.yaml) cannot be 4294967296: input should be less than 4294967296",
        ),
        (
            {"max_length": 512.5},
            "option 'max_length' (my.yaml) cannot be 512.5: "
            "input should be a valid integer, got a number with a fractional part",
        ),
        (
            {"lora_targets": "q_proj"},
            "option 'lora_targets' (my.yaml) cannot be 'q_proj': input should be a valid tuple",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_origin(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(FinetuneSettings, [Layer("my.yaml", values)])
    assert caught.value.message == message


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PrepareSettings().seed = 1


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("epochs: 2\nseed: 7\n", {"epochs": 2, "seed": 7}),
        ("", {}),
        ("# nothing but a comment\n", {}),
        ("instruction: Le goût\n", {"instruction": "Le goût"}),
        ("1: a number for a key\n", {"1": "a number for a key"}),
    ],
)
def test_a_yaml_file_is_read(tmp_path: Path, text: str, values: dict[str, Any]) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path) == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such configuration file: {path}"),
        (b"- a\n- b\n", "{path} must hold `key: value` lines, not a list"),
        (b"epochs\n", "{path} must hold `key: value` lines, not a str"),
        (
            b"a: 1\nb: [1\nc: 2\n",
            "{path}:3: not valid YAML: expected ',' or ']', but got ':'",
        ),
        (
            b"a: \xff\n",
            "{path}: not valid YAML: 'utf-8' codec can't decode byte 0xff in position 3: "
            "invalid start byte",
        ),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "my.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_yaml(path)
    assert caught.value.message == message.format(path=path)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_resolves_and_says_what_it_is_for(name: str) -> None:
    path = PRESETS[name]
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 20
    values = read_yaml(path)
    settings = resolve(FinetuneSettings, [Layer(name, values)]).settings
    assert settings.model_dump(mode="json").items() >= values.items()


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("epochs=0.5", {"epochs": 0.5}),
        ("packing=false", {"packing": False}),
        ("lora-targets=[q_proj, v_proj]", {"lora_targets": ["q_proj", "v_proj"]}),
        ("instruction=a = b", {"instruction": "a = b"}),
        ("max_steps=", {"max_steps": None}),
        (" seed =7", {"seed": 7}),
    ],
)
def test_a_setting_is_read_as_in_a_yaml_file(given: str, values: dict[str, Any]) -> None:
    assert with_settings({"train": None}, [given]) == {"train": None} | values


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["packing"], "--set packing is no KEY=VALUE"),
        (["epochs=["], "--set epochs=[: '[' is no value"),
        (["epochs=1", "epochs=2"], "'epochs' is given twice on the command line"),
        (["batch-size=1"], "'batch_size' is given twice on the command line"),
    ],
)
def test_a_setting_that_is_no_pair_or_given_twice_is_refused(
    given: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        with_settings({"batch_size": 8, "epochs": None}, given)
    assert caught.value.message == message
    assert caught.value.fix


def test_what_a_machine_decides_says_so_where_it_is_another_value() -> None:
    asked = resolve(FinetuneSettings, [Layer("flag", {"micro_batch_tokens": 512})])
    decided = asked.decided({"micro_batch_tokens": 512, "gradient_checkpointing": "on"})
    assert (decided.settings.micro_batch_tokens, decided.origins["micro_batch_tokens"]) == (
        512,
        "flag",
    )
    assert decided.settings.gradient_checkpointing == "on"
    assert decided.origins["gradient_checkpointing"] == "this machine"
    assert asked.settings.gradient_checkpointing == "auto"
