"""Fine-tune with the plain loss of language models, as the rivals of `decode.py` are.

    genrec finetune --dataset ml-1m --base-model smollm2 --max-steps 0 --name untrained
    python benchmarks/plain_loss.py WORKSPACE ml-1m untrained plain --steps 150 [--threads 1]

genrec trains the distribution over the tokens that the catalog allows. Rivals search by the model's
softmax over its whole vocabulary, and so does `--normaliser vocabulary`; timed on a model that was
never trained for it, they would search in noise. This takes an untrained run and writes a new one,
trained by cross-entropy over the vocabulary on every token of every window. It is saved every ten
steps, and may be stopped at any time.
"""

import argparse
import shutil
import time
from pathlib import Path

import torch

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.core.workspace import Workspace, read_json, write_json
from genrec_cli.data.dataset import load_dataset
from genrec_cli.language.backbones.adapt import save_trained, trainable_model
from genrec_cli.language.backbones.load import load_tokenizer
from genrec_cli.language.backbones.names import Source
from genrec_cli.language.corpus import make_corpus
from genrec_cli.language.hardware import best_place
from genrec_cli.language.run import MODEL_FOLDER
from genrec_cli.language.windows import collate

LEARNING_RATE, BATCH, WARMUP = 1e-3, 8, 10


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("workspace", "dataset", "run", "name"):
        parser.add_argument(name)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    workspace = Workspace(Path(given.workspace))
    dataset = load_dataset(workspace.find_dataset(given.dataset))
    untrained = workspace.find_run(given.dataset, given.run)
    manifest = read_json(untrained / "run.json")
    settings, source = FinetuneSettings(**manifest["settings"]), Source(**manifest["base"])
    place = best_place()
    tokenizer = load_tokenizer(source, dataset.titles, settings.instruction)
    corpus = make_corpus(dataset, tokenizer, settings)
    model = trainable_model(source, tokenizer, settings, place).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0)
    warmed = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / WARMUP))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(corpus.training), generator=generator).tolist()
    folder = untrained.with_name(given.name)
    shutil.copytree(untrained, folder, dirs_exist_ok=True)
    write_json(folder / "run.json", {**manifest, "name": given.name})
    start = time.perf_counter()
    for step in range(given.steps):
        rows = [order[(step * BATCH + i) % len(order)] for i in range(BATCH)]
        batch = collate([corpus.training[row] for row in rows])
        ids = batch["input_ids"].to(place.device)
        labels = torch.where(batch["nodes"].to(place.device) >= 0, ids, -100)
        with torch.autocast(place.device.type, place.dtype):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        warmed.step()
        optimiser.zero_grad()
        if step % 10 == 9:
            seconds = time.perf_counter() - start
            save_trained(model, tokenizer, folder / MODEL_FOLDER)
            print(f"{step + 1} steps, {seconds:.0f} s, loss {loss.item():.3f} a token", flush=True)


if __name__ == "__main__":
    main()
