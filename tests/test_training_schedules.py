"""Are the shares torch's schedulers, without their memory?"""

import pytest
import torch
from torch.optim import lr_scheduler

from course_utils.training.schedules import (
    constant,
    cosine,
    linear,
    one_cycle,
    product,
    step_decay,
    warmup,
    warmup_then_linear,
)

TOTAL = 100
PAIRS = {
    "constant": (constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0, total_iters=3)),
    "warm-up": (warmup(20), lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 20, total_iters=19)),
    "step": (step_decay(30, 0.3), lambda o: lr_scheduler.StepLR(o, 30, gamma=0.3)),
    "cosine": (cosine(TOTAL), lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL)),
    "cosine to a floor": (cosine(TOTAL, 0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.2)),
    "linear": (linear(TOTAL), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=TOTAL)),
    "one-cycle": (one_cycle(TOTAL), lambda o: lr_scheduler.OneCycleLR(o, 2.0, TOTAL, cycle_momentum=False)),
    "one-cycle, other": (
        one_cycle(TOTAL, peak=0.55, start=0.1, end=0.01),
        lambda o: lr_scheduler.OneCycleLR(o, 2.0, TOTAL, pct_start=0.55, div_factor=10, final_div_factor=10,
                                          cycle_momentum=False),
    ),
}  # fmt: skip


def rates(make, num_steps):
    """Return the rate of every update under a scheduler, of an optimizer whose lr is 2."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=2.0)
    scheduler = make(optimizer)
    seen = []
    for step in range(num_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < num_steps - 1:  # OneCycleLR has no rate after the last
            scheduler.step()
    return seen


@pytest.mark.parametrize("name", PAIRS)
def test_a_share_is_torchs_scheduler(name):
    share, theirs = PAIRS[name]
    expected = rates(theirs, TOTAL)
    assert [2 * share(step) for step in range(TOTAL)] == pytest.approx(expected, rel=1e-10, abs=1e-14)
    assert rates(lambda o: lr_scheduler.LambdaLR(o, share), TOTAL) == pytest.approx(
        expected, rel=1e-10, abs=1e-14
    )


@pytest.mark.parametrize(
    ("share", "end"),
    [(constant(), 1.0), (warmup(9), 1.0), (cosine(TOTAL, 0.1), 0.1), (linear(TOTAL), 0.0), (one_cycle(TOTAL), 4e-6)],
)  # fmt: skip
def test_after_the_last_step_a_share_stays_where_it_ended(share, end):
    assert [share(step) for step in (TOTAL, TOTAL + 1, 10 * TOTAL)] == pytest.approx([end] * 3)


def test_cosine_is_at_half_height_at_half_time_and_one_cycle_peaks_at_step_29_of_100():
    assert cosine(TOTAL)(50) == pytest.approx(0.5)
    shares = [one_cycle(TOTAL)(step) for step in range(TOTAL)]
    assert (shares[0], max(shares), shares[29], shares[-1]) == pytest.approx((0.04, 1.0, 1.0, 4e-6))


def test_a_product_multiplies_and_warmup_then_linear_is_one():
    both, known = product(warmup(30), linear(120)), warmup_then_linear(120, 0.25)
    assert [both(step) for step in range(130)] == [known(step) for step in range(130)]
    assert product()(7) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: warmup(0), "num_steps must be a finite number > 0"),
        (lambda: step_decay(0), "every counts steps and must be at least 1, got 0"),
        (lambda: step_decay(5, 1.5), "factor needs 0 <= factor <= 1"),
        (lambda: cosine(0), "total counts steps"),
        (lambda: cosine(5, -0.1), "floor needs 0 <= floor <= 1"),
        (lambda: linear(-1), "total counts steps"),
        (lambda: one_cycle(3), r"peak must leave a step before it and one after it: .* got 0\.3 of 3"),
        (lambda: one_cycle(10, peak=1.0), r"got 1\.0 of 10"),
        (lambda: one_cycle(10, start=2.0), "start needs 0 <= start <= 1"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
