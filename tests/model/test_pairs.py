"""P5 and masked GenRec as networks: their loss, their search, and training that can be resumed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lessons import Run, assert_same_run, learn, lesson, ranking
from tiny import CPU, Steps, settings_for
from torch import Tensor

from genrec_cli.core.settings import FinetuneSettings, SearchSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out
from genrec_cli.decoding.question import Question
from genrec_cli.decoding.search import search
from genrec_cli.language.backbones.adapt import load_trained, save_trained, trainable_model
from genrec_cli.language.backbones.names import Source, find_source
from genrec_cli.language.backbones.wholewords import whole_words_of
from genrec_cli.language.corpus import Corpus, make_corpus, whole_words
from genrec_cli.language.itemnames import names_of_items, place_tokens, tokenizer_for
from genrec_cli.language.objective import LossModel, TitleLoss
from genrec_cli.language.packing import Counts, join, micro_batches, weighed
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.prompt import Tokenizer
from genrec_cli.language.reading import Reading
from genrec_cli.language.run import asking
from genrec_cli.language.sampler import Draw

NOWHERE = Path("nowhere")


class Made:
    """A corpus of one method, and a small model for it that is the same whenever it is made."""

    def __init__(self, dataset: Dataset, base_model: str, **values: Any) -> None:
        values = {"base_model": base_model, "max_length": 96, "micro_batch_tokens": 512, **values}
        self.settings: FinetuneSettings = settings_for(**values)
        self.source: Source = find_source(base_model)
        self.dataset = dataset
        self.names = names_of_items(dataset, self.settings, NOWHERE)
        self.tokenizer: Tokenizer = tokenizer_for(self.source, dataset, self.settings, self.names)
        self.corpus: Corpus = make_corpus(dataset, self.tokenizer, self.settings, self.names)

    def model(self) -> Any:
        words = whole_words(self.corpus, self.settings)
        model = trainable_model(self.source, self.tokenizer, self.settings, CPU, words)
        place_tokens(model, self.tokenizer, self.names, self.dataset, self.settings)
        return model

    def examples(self, count: int, masked: bool = False) -> list[Any]:
        training = self.corpus.training
        return [training[Draw(0, window, masked)][0] for window in range(count)]


WAYS: dict[str, dict[str, Any]] = {
    "p5 on T5": {"base_model": "nano-t5", "method": "p5"},
    "p5 on T5, words of their own": {
        "base_model": "nano-t5",
        "method": "p5",
        "items": "independent",
    },
    "p5 on BART, words of their own": {
        "base_model": "nano-bart",
        "method": "p5",
        "items": "independent",
    },
    "p5 on BART, clusters and own tokens": {
        "base_model": "nano-bart",
        "method": "p5",
        "items": "hybrid",
    },
    "masked on BART": {"base_model": "nano-bart", "method": "masked"},
    "masked titles on T5": {"base_model": "nano-t5", "method": "masked", "items": "titles"},
    "without whole words": {"base_model": "nano-t5", "method": "p5", "whole_words": False},
}


@pytest.fixture(scope="module", params=WAYS)
def made(request: pytest.FixtureRequest, dataset: Dataset) -> Made:
    return Made(dataset, **WAYS[request.param])


def by_transformers(model: Any, reading: Reading, written: list[int]) -> Tensor:
    """Logits at each token written, by the model's own forward pass, the reading by itself."""
    start = model.config.decoder_start_token_id
    embedded = model.get_encoder().embed_tokens(torch.from_numpy(reading.tokens).long()[None])
    table = whole_words_of(model)
    if table is not None:
        embedded = embedded + table(torch.from_numpy(reading.words).long()[None])
    output = model(
        encoder_outputs=model.get_encoder()(inputs_embeds=embedded),
        decoder_input_ids=torch.tensor([[start, *written[:-1]]]),
        use_cache=False,
    )
    logits: Tensor = output.logits[0].double()
    return logits


def log_p(made: Made, model: Any, reading: Reading, item: int) -> Tensor:
    """Of an item as it is written, among all items that go on as it does."""
    titles = made.corpus.encoder.titles
    everything = [tuple(titles[other].tolist()) for other in range(made.corpus.trie.n_items)]
    written = everything[item]
    logits = by_transformers(model, reading, list(written))
    total = torch.zeros((), dtype=torch.double)
    for place, token in enumerate(written):
        sharing = sorted({t[place] for t in everything if t[:place] == written[:place]})
        total = total + logits[place, sharing].log_softmax(0)[sharing.index(token)]
    return total


def loss_of(made: Made, model: Any, examples: list[Any], most: int) -> Tensor:
    batch = weighed(join([examples]), Counts.of(join([examples])), 1.0)
    network = LossModel(model, TitleLoss(made.corpus.trie))
    packs = [network(pack) for pack in micro_batches(batch, most, packing=True)]
    return torch.stack(packs).sum()


def perturbed(model: Any) -> Any:
    """Every weight moved, so that none of them is without effect."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return model.eval()


@pytest.mark.parametrize("masked", [False, True])
def test_loss_and_gradients_are_those_of_one_text_after_another(made: Made, masked: bool) -> None:
    model = perturbed(made.model())
    examples = made.examples(9, masked)
    titles = [tuple(made.corpus.encoder.titles[i].tolist()) for i in range(12)]
    answers = [titles.index(tuple(example.tokens[1:].tolist())) for example in examples]
    expected = -torch.stack(
        [log_p(made, model, e.reading, item) for e, item in zip(examples, answers, strict=True)]
    ).mean()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    wanted = torch.autograd.grad(expected, weights, allow_unused=True)
    for most in (10_000, 120, 1):  # one pack, some, and one for each example
        loss = loss_of(made, model, examples, most)
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        for one, other in zip(found, wanted, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert float((one - other).norm()) <= 5e-4 * float(other.norm()) + 1e-6


def test_the_search_finds_what_scoring_every_item_finds(made: Made, dataset: Dataset) -> None:
    model = perturbed(made.model())
    cases = held_out(dataset, "test").part(slice(6))
    prompts = made.corpus.prompts(cases)
    asked, effort, _ = asking(model, 96)
    found = search(
        asked.start(prompts), made.corpus.trie, Question(5, cases.seen), SearchSettings(), effort
    )
    assert found.exact.all()
    for row, prompt in enumerate(prompts):
        with torch.no_grad():
            scores = [float(log_p(made, model, prompt, item)) for item in range(12)]
        allowed = [item for item in range(12) if item not in cases.seen[row]]
        best = sorted(allowed, key=lambda item: -scores[item])[:5]
        listed = [item for item in found.items[row].tolist() if item >= 0]
        assert listed == best
        assert found.scores[row, : len(best)].tolist() == pytest.approx(
            [scores[item] for item in best], abs=1e-4
        )


def trained(made: Made, folder: Path, progress: Steps | None = None, **changes: Any) -> Run:
    settings = made.settings.model_copy(update=changes)
    taught = lesson(made.corpus, settings, ranking(made.corpus, settings))
    return learn(taught, folder, progress or Steps(), made.model)


@pytest.mark.parametrize(
    "made",
    [
        "p5 on T5",
        "p5 on T5, words of their own",
        "p5 on BART, words of their own",
        "masked on BART",
    ],
    indirect=True,
)
def test_training_learns_and_what_is_saved_ranks_alike(
    made: Made, dataset: Dataset, tmp_path: Path
) -> None:
    run = trained(made, tmp_path, max_steps=80, batch_size=16, evaluations=2, learning_rate=1e-3)
    before, best = run.trained.before, run.trained.best
    assert best["validation_loss"] < 0.95 * before["validation_loss"]
    save_trained(run.model, made.tokenizer, tmp_path / "model")
    loaded = load_trained(made.source, made.settings, CPU, tmp_path / "model")
    (prompt, *_) = made.corpus.prompts(held_out(dataset, "test"))
    with torch.no_grad():
        scores = [float(log_p(made, model.eval(), prompt, 3)) for model in (run.model, loaded)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-6)


@pytest.mark.parametrize("way", ["p5 on T5", "p5 on T5, words of their own", "masked on BART"])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    way: str, dataset: Dataset, tmp_path: Path
) -> None:
    made = Made(dataset, dropout=0.1, **WAYS[way])
    steady: dict[str, Any] = {"max_steps": 6, "evaluations": 3}
    whole = trained(made, tmp_path / "whole", **steady)
    with pytest.raises(KeyboardInterrupt):
        trained(made, tmp_path / "cut", Steps(stop_at=4), **steady)
    assert_same_run(trained(made, tmp_path / "cut", **steady), whole)


def test_only_the_first_steps_hide_items_anywhere(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(dataset, **WAYS["masked on BART"])
    drawn: list[bool] = []
    original = PairExamples.__getitem__

    def noting(examples: PairExamples, draw: Draw) -> Any:
        drawn.append(draw.masked)
        return original(examples, draw)

    monkeypatch.setattr(PairExamples, "__getitem__", noting)
    run = trained(made, tmp_path, max_steps=10, batch_size=4, evaluations=1, pretraining=0.3)
    assert drawn[:40] == [True] * 12 + [False] * 28
    assert all(line.get("targets_per_second", 1) > 0 for line in run.lines)
