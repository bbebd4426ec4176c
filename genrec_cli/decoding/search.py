"""The top titles of a language model, by an exact best-first search or by a beam.

A node's log-probability bounds those of all titles below it, so a search that always opens the
most promising nodes may stop as soon as k finished titles beat the best open one: no title is
missed (Meister, Vieira and Cotterell, "Best-First Beam Search", TACL 2020, sections 3 and 4; over
a trie it needs no beam). With an item prior, the bound also holds the best prior below the node.
"""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from genrec_cli.core.settings import SearchSettings
from genrec_cli.decoding.candidates import Candidates
from genrec_cli.decoding.expand import Expander
from genrec_cli.decoding.pool import Hypotheses, best, kth_bounds, none, places, to_ranking
from genrec_cli.decoding.question import Question, Ranking
from genrec_cli.decoding.ragged import BoolArray, Int64
from genrec_cli.decoding.steps import Session
from genrec_cli.decoding.trie import TokenTrie


@dataclass(frozen=True)
class Effort:
    """How a search spends its time; no setting changes what it finds.

    Attributes:
        ahead: nodes opened in one pass beyond the k most promising of a user.
        most: nodes of a user opened in one pass.
        chunk: forced tokens run at a time where they cost probability.
        room: tokens kept behind each prompt.
    """

    ahead: int = 10
    most: int = 128
    chunk: int = 4
    room: int = 2048


EXACT: Final = SearchSettings()
CPU: Final = Effort()
GPU: Final = Effort(ahead=22, chunk=1 << 30)


def search(
    session: Session,
    trie: TokenTrie,
    question: Question,
    settings: SearchSettings,
    effort: Effort = CPU,
) -> Ranking:
    """The k best titles of each user, by the method that the settings name.

    Args:
        session: prompts that have been read; what an earlier search appended is not used.
        trie: the catalog.
        question: which items are wanted.
        settings: how to search.
        effort: how the exact search spends its time.

    Returns:
        Items by falling score, equal scores by item number, padded where fewer than k are allowed.

    Raises:
        ValueError: the question does not fit the session or the catalog.
        ModelError: the model's logits are not numbers.
    """
    run = best_first if settings.method == "exact" else beam_search
    return run(session, trie, question, settings, effort)


def best_first(
    session: Session,
    trie: TokenTrie,
    question: Question,
    settings: SearchSettings = EXACT,
    effort: Effort = CPU,
) -> Ranking:
    """The true k best titles of each user; see `search`.

    When the budget of a user is spent, her search goes on as a beam of width k from the nodes and
    titles that it has, which ends within the depth of the trie, and `exact` is false for her.
    """
    candidates = Candidates(trie, question, session.users)
    expander = Expander(session, trie, settings.over or "catalog", effort.chunk, effort.room)
    clock = _Clock(settings, session.users)
    exact = np.ones(session.users, dtype=bool)
    opened, titles = none(), none()
    grown = candidates.among(expander.first())
    while True:
        done = expander.finished(grown)
        titles = _keep(trie, titles.join(grown.take(done)), question.k)
        opened = opened.join(grown.take(~done))
        floor = kth_bounds(titles, session.users, question.k)
        opened = opened.take(opened.bound >= floor[opened.user])
        opened = _settle(trie, opened, titles, clock.over(expander.run), exact, question.k)
        if not len(opened):
            return to_ranking(trie, titles, exact, question.k)
        chosen = _promising(trie, opened, titles, question.k + effort.ahead, effort.most)
        now, opened = expander.make_room(opened.take(chosen), _rest(opened, chosen))
        grown = candidates.among(expander.expand(now))


def beam_search(
    session: Session,
    trie: TokenTrie,
    question: Question,
    settings: SearchSettings = EXACT,
    effort: Effort = CPU,
) -> Ranking:
    """The best titles that a beam finds, `settings.beams` wide; see `search`.

    k different allowed items are found where so many exist: a beginning is kept only while an
    allowed title lies below it. A narrow beam may miss some of the true top k, but the scores of
    those it finds are true. `exact` says of whom nothing was ever dropped that could have mattered.
    """
    candidates = Candidates(trie, question, session.users)
    expander = Expander(session, trie, settings.over or "catalog", effort.chunk, effort.room)
    exact = np.ones(session.users, dtype=bool)
    dropped = np.full(session.users, -np.inf)  # the best bound that the beam let go
    pool = candidates.among(expander.first())
    width = max(settings.beams, question.k)
    while True:
        done = expander.finished(pool)
        kept = best(trie, pool, width, done)
        gone = _rest(pool, kept)
        np.maximum.at(dropped, gone.user, gone.bound)
        pool, done = pool.take(kept), done[kept]
        floor = kth_bounds(pool.take(done), session.users, question.k)
        going = pool.take(~done & (pool.bound >= floor[pool.user]))
        pool = pool.take(done)
        if not len(going):
            exact &= (dropped < floor) | np.isneginf(dropped)
            return to_ranking(trie, pool, exact, question.k)
        going, pool = expander.make_room(going, pool)
        pool = pool.join(candidates.among(expander.expand(going)))


def _keep(trie: TokenTrie, titles: Hypotheses, k: int) -> Hypotheses:
    return titles.take(best(trie, titles, k, np.ones(len(titles), dtype=bool)))


def _promising(
    trie: TokenTrie, opened: Hypotheses, titles: Hypotheses, width: int, most: int
) -> Int64:
    """Rows of the nodes to open next: those among the `width` best of open and finished."""
    rows = _leading(trie, opened, titles, width)
    rows = rows[places(opened.user[rows]) < most]
    first = best(trie, opened, 1, np.zeros(len(opened), dtype=bool))  # equal bounds: go on
    return np.union1d(rows, first)


def _leading(trie: TokenTrie, opened: Hypotheses, titles: Hypotheses, width: int) -> Int64:
    """Rows of the open nodes among the `width` best of open and finished, by user, best first.

    A finished title takes a place, for the more titles there are, the less need there is to open
    many nodes at a time.
    """
    done = np.repeat([False, True], [len(opened), len(titles)])
    rows = best(trie, opened.join(titles), width, done)
    return rows[rows < len(opened)]


def _rest(pool: Hypotheses, rows: Int64) -> Hypotheses:
    left = np.ones(len(pool), dtype=bool)
    left[rows] = False
    return pool.take(left)


def _settle(
    trie: TokenTrie,
    opened: Hypotheses,
    titles: Hypotheses,
    over: BoolArray,
    exact: BoolArray,
    k: int,
) -> Hypotheses:
    """For users whose budget is spent, go on as a beam of width k does: it soon ends."""
    keep = ~over[opened.user]
    if keep.all():
        return opened
    exact[opened.user[~keep]] = False
    keep[_leading(trie, opened, titles, k)] = True
    return opened.take(keep)


class _Clock:
    """Tells whose budget is spent."""

    def __init__(self, settings: SearchSettings, users: int) -> None:
        self._tokens = settings.budget
        limit = settings.milliseconds
        self._end = None if limit is None else time.monotonic() + users * limit / 1000

    def over(self, run: Int64) -> BoolArray:
        """Where the tokens run, or the time of the batch, are at their limit, [B]."""
        if self._end is not None and time.monotonic() >= self._end:
            return np.ones(len(run), dtype=bool)
        return np.zeros(len(run), dtype=bool) if self._tokens is None else run >= self._tokens
