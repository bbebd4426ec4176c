"""genrec: a recommender that fine-tunes a LLaMA and writes the title of the next item."""

__version__ = "0.1.0"
