"""Fusion and measures of rankings, compared with figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from agentkit.ranking import fuse_ranks, fuse_scores, ndcg, recall, reciprocal_rank


def test_an_id_that_both_rankings_hold_beats_the_first_of_one() -> None:
    fused = fuse_ranks([["a", "b"], ["c", "b"]])
    assert [each for each, _ in fused] == ["b", "a", "c"]
    assert fused[0][1] == pytest.approx(2 / 62)


def test_weights_of_ranks_decide_whose_first_is_first() -> None:
    assert dict(fuse_ranks([["a"], ["b"]], weights=[1, 2])) == pytest.approx({"b": 2 / 61, "a": 1 / 61})
    assert fuse_ranks([["a"], ["b"]], weights=[1, 0])[1] == ("b", 0.0)


def test_weighted_scores_are_added_as_they_are() -> None:
    fused = fuse_scores([{"a": 30.0, "b": 20.0}, {"b": 0.9, "c": 0.5}], weights=[0.01, 1])
    assert [each for each, _ in fused] == ["b", "c", "a"]
    assert dict(fused) == pytest.approx({"a": 0.3, "b": 1.1, "c": 0.5})


def test_without_weights_all_scores_count_the_same() -> None:
    assert fuse_scores([{"a": 3.0, "b": 2.0}, {}, {"b": 2.0}]) == [("b", 4.0), ("a", 3.0)]


def test_equal_scores_keep_the_order_of_the_rankings() -> None:
    assert [each for each, _ in fuse_ranks([["x", "y"], ["y", "x"]])] == ["x", "y"]


def test_weights_must_be_one_for_each_ranking() -> None:
    with pytest.raises(ValueError, match="zip"):
        fuse_ranks([["a"], ["b"]], weights=[1])


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    assert ndcg(["a", "b", "c"], {"b": 1}, 10) == pytest.approx(1 / math.log2(3))
    assert ndcg(["a", "b"], {"a": 2, "b": 1}, 10) == 1.0
    assert ndcg(["b", "a"], {"a": 2, "b": 1}, 10) == pytest.approx(
        (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))
    )
    assert ndcg(["a", "b"], {"b": 1}, 1) == 0.0
    assert ndcg(["a"], {}, 10) == 0.0


def test_the_ideal_of_ndcg_is_cut_like_the_ranking() -> None:
    assert ndcg(["a"], {"a": 1, "b": 1, "c": 1}, 1) == 1.0


def test_recall_counts_what_is_relevant_only() -> None:
    assert recall(["a", "b", "c"], {"b": 1, "d": 1, "a": 0}, 2) == 0.5
    assert recall(["a"], {"a": 0}, 10) == 0.0


def test_the_reciprocal_rank_is_that_of_the_first_relevant_id() -> None:
    assert reciprocal_rank(["a", "b", "c"], {"c": 1, "b": 2}, 10) == 0.5
    assert reciprocal_rank(["a", "b"], {"b": 1}, 1) == 0.0
