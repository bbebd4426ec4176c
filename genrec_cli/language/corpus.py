"""A dataset as a language model reads it: one tokenizer, one trie, examples for two purposes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genrec_cli.core.errors import DataError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases, held_out, sample_rows
from genrec_cli.decoding.trie import TokenTrie, build_trie
from genrec_cli.language.examples import Example, TrainingExamples, Writer
from genrec_cli.language.masking import Masking
from genrec_cli.language.pairs.corpus import held_out_pairs, make_pair_encoder, pair_examples
from genrec_cli.language.pairs.encoder import PairEncoder
from genrec_cli.language.pairs.examples import PairExamples
from genrec_cli.language.pairs.lexicon import spaced
from genrec_cli.language.prompt import Encoder, Prompt, TitleTokens, Tokenizer, tokenise_titles
from genrec_cli.language.templates import prompts_of
from genrec_cli.language.tokenised import Tokenised, tokenised
from genrec_cli.language.windows import held_out_windows, training_windows


@dataclass(frozen=True)
class Corpus:
    """What training needs of a dataset.

    Attributes:
        encoder: writes histories as serving will.
        trie: of the catalog's titles.
        training: windows over every user's training part.
        cases: the validation item of a seeded sample of users.
        validation: these cases as examples.
    """

    encoder: Encoder | PairEncoder
    trie: TokenTrie
    training: TrainingExamples | PairExamples
    cases: Cases
    validation: list[Example]

    def prompts(self, cases: Cases) -> list[Any]:
        """What a model is asked with."""
        return [*self.encoder.prompts(cases.histories, cases.rows.tolist())]


def tokenised_items(
    dataset: Dataset, tokenizer: Tokenizer, words: Sequence[str] | None
) -> Tokenised:
    """Items as they are written: by their titles, or by `words` that stand for them."""
    if words is None:
        return tokenised(dataset.titles, tokenizer, dataset.folder)
    tokens = tokenise_titles(tokenizer, [spaced(word) for word in words])
    return Tokenised(tokens, build_trie((tokens.flat, tokens.offsets)))


def make_encoder(
    dataset: Dataset,
    tokenizer: Tokenizer,
    items: TitleTokens,
    prompt: Prompt,
    settings: FinetuneSettings,
) -> Encoder | PairEncoder:
    """What writes the histories of a dataset for a run.

    Args:
        dataset: whose histories they are.
        tokenizer: of the run.
        items: as they are written.
        prompt: of the run.
        settings: of the run.
    """
    if settings.method != "genrec":
        return make_pair_encoder(dataset, tokenizer, items, prompt, settings)
    head, tail = prompt.around(tokenizer)
    return Encoder(head, items, settings.max_length, tail)


def whole_words(corpus: Corpus, settings: FinetuneSettings) -> int:
    """Rows of the table of whole words that a model of a corpus has; 0: it has none."""
    if not isinstance(corpus.encoder, PairEncoder) or not settings.whole_words:
        return 0
    return corpus.encoder.phrasing.words


def make_corpus(
    dataset: Dataset,
    tokenizer: Tokenizer,
    settings: FinetuneSettings,
    words: Sequence[str] | None = None,
) -> Corpus:
    """Tokenise a dataset and cut it into what is trained on.

    Args:
        dataset: what is trained on.
        tokenizer: of the base model.
        settings: of the run.
        words: what items are called; None: their titles.

    Raises:
        DataError: nothing could be trained on, or nothing validated.
    """
    items, trie = tokenised_items(dataset, tokenizer, words)
    rows = sample_rows(dataset, "validation", settings.validation_users, settings.seed)
    cases = held_out(dataset, "validation", rows)
    if settings.method == "genrec":
        corpus = _titles_in_a_row(dataset, tokenizer, settings, Tokenised(items, trie), cases)
    else:
        (prompt,) = prompts_of(settings)
        pairs = make_pair_encoder(dataset, tokenizer, items, prompt, settings)
        training = pair_examples(dataset, pairs, trie, settings)
        corpus = Corpus(pairs, trie, training, cases, held_out_pairs(cases, pairs, trie))
    _require_examples(corpus, dataset, settings)
    return corpus


def _titles_in_a_row(
    dataset: Dataset,
    tokenizer: Tokenizer,
    settings: FinetuneSettings,
    items: Tokenised,
    cases: Cases,
) -> Corpus:
    """The corpus of a causal model, which goes on with a list of titles."""
    titles, trie = items
    around = [prompt.around(tokenizer) for prompt in prompts_of(settings)]
    encoders = [Encoder(head, titles, settings.max_length, tail) for head, tail in around]
    nodes = trie.walk(titles.flat, titles.offsets)
    writers = [Writer(encoder, nodes) for encoder in encoders]
    # Windows must fit with every wording.
    tightest = min(encoders, key=lambda encoder: encoder.room)
    windows = training_windows(dataset, tightest, settings)
    masking = Masking.of(tokenizer) if settings.hides_titles else None
    both = settings.mask_weight > 0
    return Corpus(
        encoder=encoders[0],
        trie=trie,
        training=TrainingExamples(windows, writers, settings.seed, masking, both=both),
        cases=cases,
        validation=[writers[0].next_titles(w) for w in held_out_windows(cases, encoders[0])],
    )


def _require_examples(corpus: Corpus, dataset: Dataset, settings: FinetuneSettings) -> None:
    if not len(corpus.training):
        raise DataError(
            f"dataset '{dataset.name}' has nothing to train on: no user's training part has more "
            f"than context_titles = {settings.context_titles} titles",
            "lower context_titles, or prepare the dataset with more history",
        )
    if not len(corpus.cases):
        raise DataError(
            f"dataset '{dataset.name}' has no validation item to choose the best checkpoint by",
            "prepare it with more history a user, or with --split leave-one-out",
        )
