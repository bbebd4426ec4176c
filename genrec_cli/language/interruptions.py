"""Stopping a training run without losing it, and saving it from time to time."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Final

from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from genrec_cli.core.progress import Progress
from genrec_cli.core.provenance import Stopwatch
from genrec_cli.language.team import Team

SECONDS_BETWEEN_SAVES: Final = 600.0  # what a kill may lose
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
# Ctrl-C reaches the processes of a team twice: from the terminal, and from their launcher.
_ECHO_SECONDS: Final = 2.0


class Guard(TrainerCallback):
    """Saves after a signal and then stops; saves after every ten minutes, too.

    All processes of a team decide alike, or one would wait for the others for ever.
    """

    def __init__(self, team: Team, progress: Progress) -> None:
        self.stopped_by: int | None = None
        self._team = team
        self._progress = progress
        self._since_save = Stopwatch()
        self._since_signal = Stopwatch()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take signals; a second one stops at once."""
        if current_thread() is not main_thread():  # only the main thread may
            yield
            return
        before = {number: signal.signal(number, self._take) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                # A stopped team has nothing left to do but to say so; an echo must not prevent it.
                deaf = self.stopped_by is not None and self._team.size > 1
                signal.signal(number, signal.SIG_IGN if deaf else handler)

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.stopped_by is None:
            self.stopped_by = number
            self._since_signal = Stopwatch()
            with suppress(RuntimeError):  # a signal in the middle of another line's writing
                self._progress.note(
                    "stopping after this step, with a checkpoint; once more stops at once"
                )
        elif self._team.size == 1 or self._since_signal.seconds > _ECHO_SECONDS:
            raise KeyboardInterrupt

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop or save, if it is time."""
        late = self._since_save.seconds > SECONDS_BETWEEN_SAVES
        stop, save = self._team.any([self.stopped_by is not None, late])
        if stop:
            self.stopped_by = self.stopped_by or signal.SIGTERM
            control.should_training_stop = True
        control.should_save = control.should_save or stop or save

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count anew."""
        self._since_save = Stopwatch()


class Patience(EarlyStoppingCallback):
    """Stops training that gets no better; a run resumed after that takes no further step."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop again, if training had been stopped before it was resumed."""
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True
