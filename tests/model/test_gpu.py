"""What only a CUDA device can show; skips itself elsewhere."""

from pathlib import Path

import pytest
import torch
from tiny import naive_scores, settings_for

from genrec_cli.core.progress import SILENT
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import GPU, best_first
from genrec_cli.evaluation.validation import RankingValidation
from genrec_cli.language.backbones.adapt import load_trained, save_trained, trainable_model
from genrec_cli.language.backbones.choose import default_preset
from genrec_cli.language.backbones.load import load_config
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.hardware import Place, best_place
from genrec_cli.language.lesson import Lesson
from genrec_cli.language.planning.plan import make_plan
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.serving.stepmodel import TreeModel
from genrec_cli.language.training import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
_PEAK_BYTES = 0.5e9  # the tiny model takes far less; a leak or a whole vocabulary's logits do not


def test_the_best_place_is_the_gpu_in_bfloat16() -> None:
    place = best_place()
    assert (place.device.type, place.dtype) == ("cuda", torch.bfloat16)
    assert default_preset("nano") == "nano"


@pytest.mark.parametrize(
    ("train_what", "quantize"),
    [("lora", "nf4"), ("lora", "int8"), ("lora", "none"), ("full", "none")],
)
def test_a_model_trains_is_saved_loaded_and_predicts_on_the_gpu(
    base: Source,
    tokenizer: Tokenizer,
    dataset: Dataset,
    tmp_path: Path,
    train_what: str,
    quantize: str,
) -> None:
    settings = settings_for(
        train=train_what, quantize=quantize, max_steps=10, learning_rate=1e-2, lora_dropout=0.0
    )
    place = best_place()
    torch.cuda.reset_peak_memory_stats()
    corpus = make_corpus(dataset, tokenizer, settings)
    model = trainable_model(base, tokenizer, settings, place)
    validate = RankingValidation(corpus, settings.normaliser)
    trained = train(model, Lesson(corpus, settings, 512, validate), place, tmp_path, SILENT)
    save_trained(model, tokenizer, tmp_path / "model")
    loaded = load_trained(base, settings, place, tmp_path / "model")
    assert next(loaded.parameters()).device.type == "cuda"
    assert trained is not None
    assert trained.best["validation_loss"] < trained.before["validation_loss"]

    prompts = corpus.prompts(held_out(dataset, "test").part(slice(3)))
    session, question = TreeModel(loaded).start(prompts), Question(5, [[], [], []])
    ranking = best_first(session, corpus.trie, question, effort=GPU)
    assert ranking.exact.all()
    assert all(len(set(row)) == 5 and min(row) >= 0 for row in ranking.items.tolist())
    assert torch.cuda.max_memory_allocated() < _PEAK_BYTES


def test_the_search_on_the_gpu_scores_as_naive_scoring_does(
    base: Source, tokenizer: Tokenizer, dataset: Dataset
) -> None:
    place = Place(best_place().device, torch.float32)
    settings = settings_for(train="full")
    corpus = make_corpus(dataset, tokenizer, settings)
    model = trainable_model(base, tokenizer, settings, place).eval()
    prompts = corpus.prompts(held_out(dataset, "test").part(slice(3)))
    count = corpus.trie.n_items
    question = Question(count, [[] for _ in prompts])
    ranking = best_first(TreeModel(model).start(prompts), corpus.trie, question, effort=GPU)
    titles = [tuple(corpus.encoder.titles[item].tolist()) for item in range(count)]
    for user, prompt in enumerate(prompts):
        scores = naive_scores(model, titles, prompt)
        found = [scores[item] for item in ranking.items[user].tolist()]
        assert ranking.scores[user].tolist() == pytest.approx(found, abs=1e-3)


def test_the_plan_reads_the_memory_of_the_gpu(
    base: Source, tokenizer: Tokenizer, dataset: Dataset
) -> None:
    settings = settings_for(train="lora", quantize="nf4")
    corpus = make_corpus(dataset, tokenizer, settings)
    plan = make_plan(corpus, load_config(base, tokenizer, 96), settings, best_place())
    assert plan.available_gb <= torch.cuda.get_device_properties(0).total_memory / 1e9
    assert plan.fits
