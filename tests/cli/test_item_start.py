"""A run whose items have tokens of their own begins with what users say about them."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from genrec_cli.core.workspace import read_json
from genrec_cli.data.dataset import load_dataset
from genrec_cli.language.itemwords.vectors import item_vectors

from .console import TINY_RUN, Console


@pytest.mark.parametrize("start", ["collaborative", "random"])
def test_an_untrained_run_has_items_where_users_put_them(
    changeable: Console, tmp_path: Path, start: str
) -> None:
    (tmp_path / "tiny.yaml").write_text(f"{TINY_RUN}items: independent\nitem_start: {start}\n")
    options = ("--method", "p5", "--base-model", "nano-t5", "--name", "begun")
    changeable.done("finetune", *options, "--config", tmp_path / "tiny.yaml", "--max-steps", "0")
    run = changeable.workspace / "runs" / "sample" / "begun"
    weights = load_file(run / "model" / "model.safetensors")["shared.weight"]
    words = read_json(run / "item_words.json")["words"]
    rows = weights[AutoTokenizer.from_pretrained(run / "model").convert_tokens_to_ids(words)]
    wanted = item_vectors(load_dataset(changeable.workspace / "data" / "sample"), rows.shape[1], 0)
    told = wanted.any(axis=1)
    assert told.mean() > 0.9
    cosines = (rows * wanted).sum(1)[told] / np.linalg.norm(rows[told], axis=1)
    assert (cosines.min() > 0.99) == (start == "collaborative")
    assert abs(cosines).mean() < 0.2 or start == "collaborative"
