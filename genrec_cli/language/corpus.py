"""A dataset as a language model reads it: one tokenizer, one trie, windows for two purposes."""

from dataclasses import dataclass

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.data.dataset import Dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.decoding.trie import TokenTrie
from genrec_cli.language.prompt import Encoder, Prompt, Tokenizer
from genrec_cli.language.tokenised import tokenised
from genrec_cli.language.windows import WindowDataset, held_out_windows, training_windows


@dataclass(frozen=True)
class Corpus:
    """What training needs of a dataset.

    Attributes:
        encoder: writes histories.
        trie: of the catalog's titles.
        training: windows over every user's training part.
        validation: the validation item of a seeded sample of users.
    """

    encoder: Encoder
    trie: TokenTrie
    training: WindowDataset
    validation: WindowDataset

    @property
    def targets(self) -> int:
        """Titles predicted in one epoch."""
        return sum(window.targets for window in self.training.windows)

    @property
    def tokens(self) -> int:
        """Tokens read in one epoch, without padding."""
        return int(self.training.token_counts.sum())


def make_encoder_and_trie(
    dataset: Dataset, tokenizer: Tokenizer, prompt: Prompt, max_length: int
) -> tuple[Encoder, TokenTrie]:
    """The encoder of a dataset's titles, and their trie: item i of one is item i of the other."""
    titles, trie = tokenised(dataset.titles, tokenizer, dataset.folder)
    return Encoder(prompt.head(tokenizer), titles, max_length), trie


def make_corpus(dataset: Dataset, tokenizer: Tokenizer, settings: FinetuneSettings) -> Corpus:
    """Tokenise a dataset and cut it into windows."""
    prompt = Prompt(settings.instruction)
    encoder, trie = make_encoder_and_trie(dataset, tokenizer, prompt, settings.max_length)
    nodes = trie.walk(encoder.titles.flat, encoder.titles.offsets)
    rows = sample_rows(dataset, "validation", settings.validation_users, settings.seed)
    cases = held_out(dataset, "validation", rows)
    return Corpus(
        encoder=encoder,
        trie=trie,
        training=WindowDataset(
            training_windows(dataset, encoder, settings.context_titles), encoder, nodes
        ),
        validation=WindowDataset(held_out_windows(cases, encoder), encoder, nodes),
    )
