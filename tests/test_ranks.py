"""Ranks over tasks: textbook numbers, SciPy as the oracle, and what seeds in place of tasks would feign."""

import pytest
import scipy.stats
import torch

from course_utils.ranks import critical_difference, friedman, mean_ranks, studentized_range_quantile
from course_utils.seeding import make_generator


def draws(tasks, methods, *, shift=0.0):
    scores = torch.randn(tasks, methods, generator=make_generator(3), dtype=torch.float64)
    return scores + shift * torch.arange(methods)


def test_the_lowest_score_has_rank_1_and_equal_scores_share_theirs():
    scores = torch.tensor([[0.3, 0.1, 0.2, 0.9], [5.0, 5.0, 7.0, 6.0]])
    assert mean_ranks(scores).tolist() == [(3 + 1.5) / 2, (1 + 1.5) / 2, (2 + 4) / 2, (4 + 3) / 2]


def test_ranks_do_not_see_the_unit_of_a_task():
    scores = draws(4, 6)
    assert torch.equal(mean_ranks(scores), mean_ranks(torch.stack([1000 * scores[0] + 7, *scores[1:]])))


@pytest.mark.parametrize("scores", [draws(3, 14), draws(12, 5, shift=0.4), draws(6, 4).round()])
def test_friedman_is_that_of_scipy_with_and_without_ties(scores):
    ours, theirs = friedman(scores), scipy.stats.friedmanchisquare(*scores.T.numpy())
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-10)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_quantile_over_root_two_is_that_of_demsars_table_5(k, q):
    assert studentized_range_quantile(0.95, k) / 2**0.5 == pytest.approx(q, abs=1e-3)


@pytest.mark.parametrize(("p", "k"), [(0.95, 14), (0.9, 3), (0.99, 40), (0.5, 2)])
def test_the_quantile_is_that_of_scipy(p, k):
    assert studentized_range_quantile(p, k) == pytest.approx(
        scipy.stats.studentized_range.ppf(p, k, 1e9), rel=1e-5
    )


def test_the_critical_difference_is_that_of_demsars_example():
    # four classifiers on fourteen data sets, section 3.2.2: q = 2.569 and CD = 1.25
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_four_times_the_tasks_halve_the_critical_difference():
    assert critical_difference(14, 3) == pytest.approx(2 * critical_difference(14, 12), rel=1e-12)


def test_what_cannot_be_ranked_is_refused_by_name():
    with pytest.raises(ValueError, match=r"scores needs shape \(tasks, methods\)"):
        mean_ranks(torch.ones(3))
    with pytest.raises(ValueError, match=r"scores must be finite numbers, got nan"):
        mean_ranks(torch.tensor([[1.0, torch.nan]]))
    with pytest.raises(ValueError, match=r"scores needs two or more tasks and three or more methods"):
        friedman(torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"scores of every task are all equal"):
        friedman(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"num_tasks must be at least 1"):
        critical_difference(3, 0)
