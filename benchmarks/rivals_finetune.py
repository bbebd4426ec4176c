"""The rival of `finetune.py`: training as GenRec's own code does it (Ji et al. 2023).

    genrec finetune --dataset ml-1m --base-model nano --max-steps 0 --name untrained
    python benchmarks/rivals_finetune.py WORKSPACE ml-1m untrained rival --seconds 60 [--threads 1]

That code (github.com/rutgerswiselab/GenRec, rec.py) is alpaca-lora's: one prompt for each target,
cut and padded, cross-entropy over the vocabulary at every token, micro-batches of 4 added up to
batches of 128, AdamW. Here as in genrec: the prompt, the cut (off the oldest title, where theirs
is off the target), the base model, autocast and the fused AdamW. It starts from an untrained run,
writes a new one for `genrec bench --normaliser vocabulary`, and prints one line of JSON.

Padding: `full`, to `--length` tokens; `longest`, to the longest of a micro-batch and a multiple of
8, which is what their collator does (on the left; with causal attention that costs the same).
"""

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from finetune_meter import Outcome, Phases, json_line, write_run
from numpy.typing import NDArray
from torch import Tensor

from genrec_cli.core.provenance import Stopwatch
from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import RUN_MANIFEST, Workspace, read_json
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.split import training_part
from genrec_cli.language.backbones.adapt import trainable_model
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.hardware import Place, best_place
from genrec_cli.language.prompt import Encoder, Prompt, TokenIds
from genrec_cli.language.run import MODEL_FOLDER
from genrec_cli.language.seeding import seeded
from genrec_cli.language.tokenised import tokenised

NO_LABEL = -100  # what transformers' losses leave out


class Example(NamedTuple):
    """A prompt with its target as token ids; the last `target` of them are the target's."""

    tokens: TokenIds
    target: int


@dataclass(frozen=True, eq=False)
class Prompts:
    """One prompt for each target, written as token ids when it is asked for.

    Attributes:
        encoder: how to write them.
        items: of the dataset, all users'.
        firsts: int64, [prompts]; place in `items` of the oldest title in the prompt.
        targets: int64, [prompts]; place in `items` of the target.
    """

    encoder: Encoder
    items: NDArray[np.int32]
    firsts: NDArray[np.int64]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Example:
        written = self.items[self.firsts[index] : self.targets[index] + 1]
        *history, target = [self.encoder.titles[int(item)] for item in written]
        parts = [self.encoder.head, *history, self.encoder.tail, target]
        return Example(np.concatenate(parts), len(target))


def prompts(dataset: Dataset, encoder: Encoder) -> Prompts:
    """Prompts for every item of the training parts but each user's first, which has no history.

    Each is as genrec's, with the newest titles before the target that leave room for it, and the
    target behind it: at most `encoder.max_length` tokens.
    """
    lengths = encoder.titles.lengths
    firsts, targets = [], []
    for row, offset in enumerate(dataset.offsets[:-1]):
        items = training_part(dataset, row)
        begins = np.concatenate([[0], np.cumsum(lengths[items])])
        firsts.append(offset + np.searchsorted(begins, begins[2:] - encoder.room))
        targets.append(offset + np.arange(1, len(items)))
    return Prompts(encoder, dataset.items, np.concatenate(firsts), np.concatenate(targets))


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes:
        batch: prompts in one optimiser step.
        micro: prompts in memory at a time; divides the batch.
        learning_rate: peak of AdamW's.
        warmup: steps of linear warm-up; theirs are 100.
        decay: to zero at the end of the budget, by steps if they are given, else by seconds.
        padding: see the top of this file.
        inputs: whether every token has a label, as theirs have, or the target's alone.
        steps: after which to stop; None: at the deadline.
        seed: of the order of prompts, and of dropout.
    """

    batch: int = 128
    micro: int = 4
    learning_rate: float = 3e-4
    warmup: int = 10
    decay: Literal["linear", "constant"] = "linear"
    padding: Literal["full", "longest"] = "full"
    inputs: bool = True
    steps: int | None = None
    seed: int = 0

    def rate(self, step: int, used: float) -> float:
        """Learning rate of a step, counted from 0, when a share of the budget is used."""
        left = 1 - used if self.decay == "linear" else 1.0
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup)) * left


def train_rival(
    model: Any, examples: Prompts, options: Options, deadline_seconds: float, place: Place
) -> Outcome:
    """Train a model in place.

    Equal seeds give equal steps. Where seconds and not steps are the budget, the clock decides on
    their number, and on the rate if it decays.

    Args:
        model: of `trainable_model`.
        examples: what it reads, in an order drawn anew for every pass.
        options: how.
        deadline_seconds: no step begins later.
        place: the model's device, and what autocast multiplies in.
    """
    torch.set_flush_denormal(True)  # as genrec does
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, weight_decay=0.0, fused=True)
    order = endless_order(len(examples), options.seed)
    losses: list[float] = []
    tokens = positions = 0
    watch, cpu = Stopwatch(), time.process_time()
    with seeded(options.seed):
        while (seconds := watch.seconds) < deadline_seconds and len(losses) != options.steps:
            step = len(losses)
            used = step / options.steps if options.steps else seconds / deadline_seconds
            batches = micro_batches(examples, list(itertools.islice(order, options.batch)), options)
            loss = accumulate(model, batches, place)
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            for group in optimiser.param_groups:
                group["lr"] = options.rate(step, used)
            optimiser.step()
            optimiser.zero_grad()
            losses.append(loss)
            tokens += sum(int(batch["attention_mask"].sum()) for batch in batches)
            positions += sum(batch["input_ids"].numel() for batch in batches)
    return Outcome(
        steps=len(losses),
        targets=len(losses) * options.batch,
        tokens=tokens,
        positions=positions,
        seconds=watch.seconds,
        cpu_seconds=time.process_time() - cpu,
        losses=tuple(losses),
    )


def endless_order(count: int, seed: int) -> Iterator[int]:
    """Numbers below a count, shuffled anew for every pass."""
    for epoch in itertools.count():
        yield from np.random.default_rng([seed, epoch]).permutation(count).tolist()


def micro_batches(
    examples: Prompts, rows: Sequence[int], options: Options
) -> list[dict[str, Tensor]]:
    """The prompts of one step."""
    parts = [rows[i : i + options.micro] for i in range(0, len(rows), options.micro)]
    return [collate([examples[row] for row in part], examples.encoder, options) for part in parts]


def collate(examples: Sequence[Example], encoder: Encoder, options: Options) -> dict[str, Tensor]:
    """Pad examples on the right into one batch, as transformers' models take it.

    Returns:
        `input_ids`, `attention_mask` and `labels`, int64 [prompts, width].
    """
    longest = max(len(example.tokens) for example in examples)
    width = encoder.max_length if options.padding == "full" else -(-longest // 8) * 8
    ids, mask = np.zeros((2, len(examples), width), dtype=np.int64)
    labels = np.full_like(ids, NO_LABEL)
    for row, (tokens, target) in enumerate(examples):
        begin, end = 0 if options.inputs else len(tokens) - target, len(tokens)
        ids[row, :end], mask[row, :end] = tokens, 1
        labels[row, begin:end] = tokens[begin:]
    arrays = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def accumulate(model: Any, batches: Sequence[dict[str, Tensor]], place: Place) -> float:
    """Add up the gradients of one step; returns the mean of its micro-batches' losses."""
    total = torch.zeros((), device=place.device)
    for batch in batches:
        inputs = {name: tensor.to(place.device) for name, tensor in batch.items()}
        with torch.autocast(place.device.type, place.dtype, place.dtype == torch.bfloat16):
            loss = model(**inputs, use_cache=False).loss / len(batches)
        loss.backward()
        total += loss.detach()
    return total.item()


def main() -> None:
    """Train, save and report."""
    parser, given = parsed()
    options = Options(**{field.name: getattr(given, field.name) for field in fields(Options)})
    if options.batch % options.micro or given.name == given.run:
        parser.error("--micro must divide --batch, and NAME must not be RUN")
    torch.set_num_threads(given.threads)
    workspace, phases, place = Workspace(Path(given.workspace)), Phases(), best_place()
    with phases.phase("data"):
        dataset = load_dataset(workspace.find_dataset(given.dataset))
        untrained = workspace.find_run(given.dataset, given.run)
        manifest = read_json(untrained / RUN_MANIFEST)
        known = FinetuneSettings(**manifest["settings"])
        settings = known.model_copy(update={"max_length": given.length})
        source, saved = Source(**manifest["base"]), untrained / MODEL_FOLDER
        tokenizer = load_tokenizer(replace(source, kind="folder", location=str(saved)))
        titles = tokenised(dataset.titles, tokenizer, dataset.folder).titles
        head, tail = Prompt.load(untrained).around(tokenizer)
        examples = prompts(dataset, Encoder(head, titles, settings.max_length, tail))
    with phases.phase("model"):
        model = trainable_model(source, tokenizer, settings, place)
    with phases.phase("training"):
        outcome = train_rival(model, examples, options, given.seconds, place)
    facts = {"dataset": dataset.name, "prompts": len(examples), "options": asdict(options)}
    with phases.phase("saving"):
        # Bench then asks with prompts as long as those that were trained on.
        changes = {
            "settings": settings.model_dump(mode="json"),
            "rival": {**facts, **asdict(outcome)},
        }
        write_run(model, tokenizer, untrained, given.name, changes)
    print(json_line(given.name, outcome, phases, facts))


def parsed() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("workspace", "dataset", "run", "name"):
        parser.add_argument(name)
    parser.add_argument("--seconds", type=float, default=60, help="no step begins later")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--length", type=int, default=256, help="most tokens in a prompt")
    for option, kind in (("batch", int), ("micro", int), ("learning-rate", float)):
        name = option.replace("-", "_")
        parser.add_argument(f"--{option}", type=kind, default=getattr(Options, name))
    for option in ("warmup", "steps", "seed"):
        parser.add_argument(f"--{option}", type=int, default=getattr(Options, option))
    parser.add_argument("--decay", choices=("linear", "constant"), default=Options.decay)
    parser.add_argument("--padding", choices=("full", "longest"), default=Options.padding)
    parser.add_argument("--inputs", action=argparse.BooleanOptionalAction, default=Options.inputs)
    return parser, parser.parse_args()


if __name__ == "__main__":
    main()
