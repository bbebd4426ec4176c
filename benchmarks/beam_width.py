"""How much of a very wide beam's top 10 narrower beams find, and at what cost.

    python benchmarks/beam_width.py WORKSPACE DATASET RUN [USERS]

Prints a line a width: CPU seconds, mean overlap with the widest, share of identical lists.
"""

import sys
import time
from pathlib import Path

import numpy as np

from genrec_cli.core.workspace import Workspace
from genrec_cli.data.dataset import load_dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.decoding.search import beam_search
from genrec_cli.language.run import load_run

K = 10
WIDTHS = (400, 20, 40, 64)  # the first is what the others are compared with
USERS_AT_ONCE = 16


def main(root: str, dataset_name: str, run_name: str, users: str = "128") -> None:
    """Rank validation histories of a seeded sample of users at every width."""
    workspace = Workspace(Path(root))
    dataset = load_dataset(workspace.find_dataset(dataset_name))
    run = load_run(workspace.find_run(dataset_name, run_name), dataset)
    cases = held_out(dataset, "validation", sample_rows(dataset, int(users), seed=0))
    prompts = [run.encoder.prompt(history) for history in cases.histories]
    widest = None
    for width in WIDTHS:
        start = time.process_time()
        found = np.concatenate(
            [
                beam_search(run.model, run.trie, prompts[part], K, cases.histories[part], width)[0]
                for i in range(0, len(cases), USERS_AT_ONCE)
                for part in [slice(i, i + USERS_AT_ONCE)]
            ]
        )
        seconds = time.process_time() - start
        widest = found if widest is None else widest
        pairs = list(zip(found, widest, strict=True))
        overlap = np.mean([len(np.intersect1d(a, b)) / K for a, b in pairs])
        same = np.mean([np.array_equal(a, b) for a, b in pairs])
        print(
            f"{width:4d} beams  {seconds:5.1f} CPU s  overlap {overlap:.3f}  identical {same:.2f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
