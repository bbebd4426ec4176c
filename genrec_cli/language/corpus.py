"""A dataset as a language model reads it: one tokenizer, one trie, examples for two purposes."""

from dataclasses import dataclass

from genrec_cli.core.errors import DataError
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import Cases, held_out, sample_rows
from genrec_cli.decoding.trie import TokenTrie
from genrec_cli.language.examples import Example, TrainingExamples, Writer
from genrec_cli.language.masking import Masking
from genrec_cli.language.prompt import Encoder, Prompt, Tokenizer
from genrec_cli.language.templates import prompts_of
from genrec_cli.language.tokenised import tokenised
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

    encoder: Encoder
    trie: TokenTrie
    training: TrainingExamples
    cases: Cases
    validation: list[Example]


def make_encoder_and_trie(
    dataset: Dataset, tokenizer: Tokenizer, prompt: Prompt, max_length: int
) -> tuple[Encoder, TokenTrie]:
    """The encoder of a dataset's titles, and their trie: item i of one is item i of the other."""
    titles, trie = tokenised(dataset.titles, tokenizer, dataset.folder)
    head, tail = prompt.around(tokenizer)
    return Encoder(head, titles, max_length, tail), trie


def make_corpus(dataset: Dataset, tokenizer: Tokenizer, settings: FinetuneSettings) -> Corpus:
    """Tokenise a dataset and cut it into windows.

    Raises:
        DataError: nothing could be trained on, or nothing validated.
    """
    titles, trie = tokenised(dataset.titles, tokenizer, dataset.folder)
    around = [prompt.around(tokenizer) for prompt in prompts_of(settings)]
    encoders = [Encoder(head, titles, settings.max_length, tail) for head, tail in around]
    nodes = trie.walk(titles.flat, titles.offsets)
    writers = [Writer(encoder, nodes) for encoder in encoders]
    # Windows must fit with every wording.
    tightest = min(encoders, key=lambda encoder: encoder.room)
    windows = training_windows(dataset, tightest, settings)
    masking = Masking.of(tokenizer) if settings.hides_titles else None
    rows = sample_rows(dataset, "validation", settings.validation_users, settings.seed)
    cases = held_out(dataset, "validation", rows)
    if not windows:
        raise DataError(
            f"dataset '{dataset.name}' has nothing to train on: no user's training part has more "
            f"than context_titles = {settings.context_titles} titles",
            "lower context_titles, or prepare the dataset with more history",
        )
    if not len(cases):
        raise DataError(
            f"dataset '{dataset.name}' has no validation item to choose the best checkpoint by",
            "prepare it with more history a user, or with --split leave-one-out",
        )
    return Corpus(
        encoder=encoders[0],
        trie=trie,
        training=TrainingExamples(
            windows, writers, settings.seed, masking, both=settings.mask_weight > 0
        ),
        cases=cases,
        validation=[writers[0].next_titles(w) for w in held_out_windows(cases, encoders[0])],
    )
