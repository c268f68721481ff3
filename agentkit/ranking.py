"""Rankings: how two become one, and how good one is. Pure functions over any ids.

Fusion, where words and meaning each found something::

    fused = fuse_ranks([by_words, by_meaning], weights=[1, 2])           # [(id, score), …], best first
    fused = fuse_scores([{"a": 7.1, "b": 3.0}, {"b": .81, "c": .4}], weights=[.04, 1])

Measures, of one query each; `relevant` maps an id to its gain, and what it lacks is irrelevant::

    ndcg(["a", "b"], {"b": 1}, 10), recall(["a", "b"], {"b": 1}, 10), reciprocal_rank(["a", "b"], {"b": 1}, 10)
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

Id = TypeVar("Id", bound=Hashable)

_RANK_CONSTANT: Final = 60.0
"""How fast a rank loses worth; the value of the paper, and results hardly depend on it."""


def fuse_ranks(
    rankings: Sequence[Sequence[Id]],
    weights: Sequence[float] | None = None,
    constant: float = _RANK_CONSTANT,
) -> list[tuple[Id, float]]:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): only the order counts, no score.

    Args:
        rankings: Each best first, without repetition.
        weights: How much each counts; None: the same.
        constant: Added to every rank, which begins with one.

    Returns:
        Every id with its score, best first; among equals the one that came first in the rankings.
    """
    fused: dict[Id, float] = {}
    for ranking, weight in zip(rankings, _weights(weights, len(rankings)), strict=True):
        for rank, each in enumerate(ranking, start=1):
            fused[each] = fused.get(each, 0.0) + weight / (constant + rank)
    return _best_first(fused)


def fuse_scores(
    scorings: Sequence[Mapping[Id, float]], weights: Sequence[float] | None = None
) -> list[tuple[Id, float]]:
    """The weighted sum of scores: for scores whose differences mean the same from query to query.

    BM25 is such a score (a sum of log-odds), and so is a cosine. Stretching each query's scores to 0 … 1 first makes
    the best of a bad lot count as much as a good match, which was worse for questions in plain words (dev/log.md).

    Args:
        scorings: Larger is better; what a scoring lacks counts 0.
        weights: How much each counts; None: the same.

    Returns:
        Every id with its score, best first; among equals the one that came first in the scorings.
    """
    fused: dict[Id, float] = {}
    for scoring, weight in zip(scorings, _weights(weights, len(scorings)), strict=True):
        for each, score in scoring.items():
            fused[each] = fused.get(each, 0.0) + weight * score
    return _best_first(fused)


def ndcg(ranking: Iterable[Id], relevant: Mapping[Id, float], k: int) -> float:
    """Normalised discounted cumulative gain of the first `k`, with linear gain, as trec_eval computes `ndcg_cut`.

    Args:
        ranking: Best first.
        relevant: The gain of each relevant id; zero and less count as irrelevant.
        k: How many count.

    Returns:
        0 to 1; 0 where nothing is relevant.
    """
    gains = [max(0.0, relevant.get(each, 0.0)) for each in _first(ranking, k)]
    ideal = sorted((gain for gain in relevant.values() if gain > 0), reverse=True)[:k]
    return _discounted(gains) / _discounted(ideal) if ideal else 0.0


def recall(ranking: Iterable[Id], relevant: Mapping[Id, float], k: int) -> float:
    """Share of the relevant ids that are among the first `k`; 0 where nothing is relevant."""
    wanted = {each for each, gain in relevant.items() if gain > 0}
    return len(wanted.intersection(_first(ranking, k))) / len(wanted) if wanted else 0.0


def reciprocal_rank(ranking: Iterable[Id], relevant: Mapping[Id, float], k: int) -> float:
    """One divided by the rank of the first relevant id among the first `k`, else 0; its mean is the MRR."""
    for rank, each in enumerate(_first(ranking, k), start=1):
        if relevant.get(each, 0.0) > 0:
            return 1 / rank
    return 0.0


def _weights(weights: Sequence[float] | None, count: int) -> Sequence[float]:
    return [1.0] * count if weights is None else weights


def _best_first(scores: dict[Id, float]) -> list[tuple[Id, float]]:
    return sorted(scores.items(), key=lambda pair: -pair[1])


def _first(ranking: Iterable[Id], k: int) -> list[Id]:
    return [each for _, each in zip(range(k), ranking, strict=False)]


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
