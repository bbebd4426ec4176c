"""The texts that stand around histories, by objective.

The 2023 paper (Ji et al., section 3.1 and figure 2) writes instruction, input and output, and
several wordings of the instruction "to enhance the model's comprehension of the task". These are
ours, fit for any kind of item; its repository asks for films among toys, and for an age range.
"""

from typing import Final

from genrec_cli.core.settings import FinetuneSettings
from genrec_cli.language.pairs.wordings import ASKED, DIRECT, HISTORY, SEQUENTIAL, SOMEBODY
from genrec_cli.language.prompt import Prompt

PAPER_WORDINGS: Final = (
    "Given this person's history, what is the most probable item they will choose next?",
    "Based on what this person chose so far, which item is the most likely next one?",
    "Here is what a person chose, in order. Predict the next choice.",
    "Considering the choices below, name the item that will be chosen next.",
    "From the sequence of items below, infer the one that follows.",
    "What would somebody with this history most likely choose next?",
    "Read the list of past choices and recommend the next item.",
    "These items were chosen one after the other. Which one comes next?",
)

HIDDEN: Final = "[hidden]\n"
"""Stands for a title in masked-item prediction."""
A_USER: Final = " user_1"
"""As encoder-decoders read users; numbers are cut in pieces that items have, too."""
ANSWERS: Final = "[hidden were]\n"
"""Stands before the titles that were hidden."""


def prompts_of(settings: FinetuneSettings) -> list[Prompt]:
    """The prompts that a run is trained on; serving takes the first, of p5 the only one here."""
    if settings.method == "masked":
        return [Prompt("")]
    if settings.method == "p5":
        before, _, after = ASKED.partition(HISTORY)
        return [Prompt(before, after)]
    if settings.objective == "paper":
        return [Prompt(f"Instruction: {w}\nInput:\n", "Output:\n") for w in PAPER_WORDINGS]
    # A model of hidden titles alone is asked for one that is hidden at the end.
    alone = settings.objective == "masked" and settings.pretraining == 1
    return [Prompt(f"{settings.instruction}\n", HIDDEN + ANSWERS if alone else "")]


def texts_of(settings: FinetuneSettings) -> list[str]:
    """All text around items that a tokenizer of one's own should know."""
    if settings.method == "masked":
        return [A_USER]
    if settings.method == "p5":
        wordings = [*SEQUENTIAL, *DIRECT, ASKED, SOMEBODY]
        words = [word for wording in wordings for word in wording.split() if word[0] != "{"]
        return [A_USER, *(f" {word}" for word in words)]
    texts = [text for prompt in prompts_of(settings) for text in (prompt.before, prompt.after)]
    return [*texts, *((HIDDEN, ANSWERS) if settings.hides_titles else ())]
