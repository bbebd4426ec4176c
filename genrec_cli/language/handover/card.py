"""The README of a run that is handed over: what it is, how to load and ask it, what is lost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from genrec_cli.language.handover.recipes import ask, load_in_peft, load_in_transformers, serve
from genrec_cli.language.handover.trained import ModelFormat, Trained

CARD_FILE: Final = "README.md"

_KINDS: Final[Mapping[ModelFormat, str]] = {
    "adapter": "a LoRA adapter for PEFT, with the tokenizer; the base model's weights are not in "
    "this folder",
    "merged": "whole weights in bfloat16, with the tokenizer, for transformers and what reads "
    "its format",
    "gguf-ready": "whole weights in float16, with the tokenizer, for llama.cpp's converter",
}


def write_card(
    run: Trained, kind: ModelFormat, prompt: Mapping[str, Any], notes: list[str], folder: Path
) -> None:
    """Write `README.md`.

    Args:
        run: that is handed over.
        kind: as what.
        prompt: what `prompt.json` holds.
        notes: what else the user should know.
        folder: of the export.
    """
    load = load_in_peft(run) if kind == "adapter" else load_in_transformers(kind)
    parts = [
        _front_matter(run, kind),
        f"# {run.name}",
        _about(run, kind),
        *(f"Note: {note}." for note in notes),
        "## Load it",
        f"In this folder, with {'PEFT' if kind == 'adapter' else 'transformers'}:",
        load,
        "## Ask it",
        _asking(run),
        ask(run),
        "## The prompt",
        _prompt(prompt),
        "## Serve it",
        serve(run, kind, prompt),
        "## What is lost outside genrec",
        _LOST,
    ]
    (folder / CARD_FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _front_matter(run: Trained, kind: ModelFormat) -> str:
    """What model hubs, and llama.cpp's converter, read of a card."""
    values: dict[str, Any] = {
        "library_name": "peft" if kind == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["recommendation", "genrec"],
    }
    if run.hub_id is not None:
        values["base_model"] = run.hub_id
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _about(run: Trained, kind: ModelFormat) -> str:
    manifest, source = run.manifest, run.source
    origin = {
        "nano": "none, it was trained from nothing (nano)",
        "hub": f"{source.location}, commit {source.revision}",
        "folder": source.location,
        "gguf": f"{source.name}, from {Path(source.location).name}",
    }[source.kind]
    trained = "every weight" if run.settings.train == "full" else "a LoRA adapter"
    if run.settings.quantize != "none":
        trained += f", on a base model in {run.settings.quantize}"
    return "\n".join(
        [
            "A recommender that writes the title of the next item, made by "
            f"genrec {manifest['versions']['genrec']}. This folder holds {_KINDS[kind]}.",
            "",
            "| | |",
            "|---|---|",
            f"| base model | {origin} |",
            f"| trained | {trained} |",
            f"| dataset | {run.dataset.name}: {len(run.dataset.titles):,} titles, "
            f"{len(run.dataset.user_ids):,} users |",
            f"| finished | {manifest['created']} |",
            "| licence | that of the base model and of the dataset |",
            "",
            "`prompt.json` says how a history becomes a prompt, `catalog.parquet` holds each title "
            "with its `item_id` and its `token_ids`, `export.json` says how the folder was made.",
        ]
    )


def _asking(run: Trained) -> str:
    why = "Left alone, the model may write what is no title"
    if run.manifest["settings"].get("normaliser", "catalog") == "catalog":
        why = (
            "The model was trained to choose among the tokens with which some title of the catalog "
            "goes on; what it thinks of all others means nothing"
        )
    return f"{why}. So let it write titles only, by their `token_ids`:"


def _prompt(prompt: Mapping[str, Any]) -> str:
    example = prompt["example"]
    text = "\n".join(f"    {line}".rstrip() for line in example["text"].splitlines())
    same = (
        "Sent as text, a prompt gives the same ids (every title was tried)."
        if prompt["text_gives_same_ids"]
        else "Send ids, not text: a tokenizer that reads the whole prompt at once joins the end of "
        "one title with the next, or cuts it elsewhere, and the model never saw such ids."
    )
    return "\n\n".join(
        [
            "Titles stand one a line, oldest first, after `before` and followed by `after`; the "
            "model writes the next line. Ids are made title by title: `before_ids`, then the "
            "`token_ids` of each title, which end with that of the line break "
            f"({prompt['end_of_title_id']}), then `after_ids`. A prompt and the longest title "
            f"({prompt['longest_title']} tokens) take at most {prompt['max_length']} tokens "
            "together: leave out the oldest titles. There is no chat template.",
            "The five titles that most people chose, as a prompt (nobody's own history is in this "
            "folder); the next title begins behind the last line break:",
            text,
            f"Its ids: `{example['ids']}`",
            same,
        ]
    )


_LOST: Final = """\
- **The exact search.** `genrec predict` proves that its list is the model's true top k of the
  catalog. Beam search, as above, may miss titles; other programs write whatever is likely.
- **Scores.** Those above are genrec's, logarithms of a title's probability among all titles. A
  program that does not keep to the catalog's tokens gives others, in another order.
- **Rules.** A full list without what a user knows, `--only`, `--without`, `--catalog`, priors."""
