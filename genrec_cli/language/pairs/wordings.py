"""What P5 is asked with, in our words: several wordings of a task, and one that training never saw.

After the task families of P5 (Geng et al. 2022, section 3.1 and appendix): sequential
recommendation goes on with a history, direct recommendation knows nothing but the user.
"""

from typing import Final

USER: Final = "{user}"
HISTORY: Final = "{history}"

SEQUENTIAL: Final = (
    "{user} chose {history} . What next ?",
    "Choices of {user} : {history} . Predict another .",
    "After {history} , what will {user} choose ?",
    "{user} : {history} . Recommend one .",
    "{history} were chosen by {user} ; go on .",
    "Read {history} , then advise {user} .",
)
DIRECT: Final = (
    "What should {user} be offered ?",
    "Recommend something for {user} .",
    "Pick an item that {user} likes .",
    "{user} is looking for an item . Which ?",
)
ASKED: Final = "{user} chose {history} . Predict another ."
"""The wording of evaluation and serving, held out of training.

Each of its words stands in others: to a model that is trained from scratch a word that training
never saw is noise, which cost a quarter of its hits.
"""

SOMEBODY: Final = "somebody"
"""Stands for a user who is not known."""
