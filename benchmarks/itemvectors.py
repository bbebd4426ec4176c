"""What items' first vectors know by themselves, without a model that begins with them.

    python benchmarks/itemvectors.py WORKSPACE DATASET

The sum of a history's vectors, each later item counting 1 / .7 as much as the one before it, is
compared with every item; vectors are as wide as those of nano-t5. Prints HR@10
and NDCG@10 of all users, on validation and on test items.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.settings import Split
from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.split import held_out
from genrec_cli.evaluation.metrics import METRICS, place_in_scores
from genrec_cli.language.backbones.nano_pairs import WIDTH
from genrec_cli.language.itemwords.vectors import item_vectors

K, BATCH, DECAY = 10, 256, 0.7


def main() -> None:
    """Measure both splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("dataset")
    asked = parser.parse_args()
    dataset = load_dataset(Workspace(asked.workspace).root / "data" / asked.dataset)
    vectors = item_vectors(dataset, WIDTH, seed=0)
    for split in ("validation", "test"):
        figures = measured(dataset, split, vectors)
        print(split, ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))


def measured(dataset: Dataset, split: Split, vectors: NDArray[np.float32]) -> dict[str, float]:
    """Metric -> its mean over all users."""
    found: dict[str, list[NDArray[np.float64]]] = {"HR": [], "NDCG": []}
    for cases in held_out(dataset, split).batches(BATCH):
        asked = [DECAY ** np.arange(len(h))[::-1] @ vectors[h] for h in cases.histories]
        scores = (np.stack(asked) @ vectors.T).astype(np.float32)
        placement = place_in_scores(scores, cases.seen, cases.targets)
        for name, figures in found.items():
            figures.append(METRICS[name](placement, K))
    return {f"{name}@{K}": float(np.concatenate(own).mean()) for name, own in found.items()}


if __name__ == "__main__":
    main()
