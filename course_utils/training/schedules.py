"""How does the learning rate change over a run? Shares of its peak, for torch's LambdaLR."""

from collections.abc import Callable

from course_utils._checks import check_probability
from course_utils._types import checked


@checked
def warmup_then_linear(total: int, warmup: float = 0.1) -> Callable[[int], float]:
    r"""Return the share of the peak rate at step t: a straight line up, then a straight line down to 0.

    .. math:: s(t) = \min\Big(\frac{t + 1}{w T}, 1\Big) \Big(1 - \frac{t}{T}\Big), \qquad t = 0, \dots, T - 1

    Args:
        total: number of steps T >= 1.
        warmup: fraction w of them in [0, 1) until the first factor is 1; 0 starts at the peak.
    Returns: a function of the step, as `torch.optim.lr_scheduler.LambdaLR` takes it; 0 from step T on.
    Raises: ValueError: if `total` is below 1 or `warmup` outside of [0, 1).
    Source: warm-up: Goyal et al. 2017 (arXiv:1706.02677), section 2.2.
    """
    if total < 1:
        raise ValueError(f"total counts steps and must be at least 1, got {total}.")
    check_probability("warmup", warmup, below_one=True)
    rising = max(1.0, warmup * total)  # a warm-up shorter than a step is none

    def share(step: int) -> float:
        return min((step + 1) / rising, 1.0) * max(0.0, 1 - step / total)

    return share
