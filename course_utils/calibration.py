r"""When a network says 90 %, is it right in nine of ten? Reliability bins, their error, a proper score, a temperature.

A network is calibrated when, of all predictions made with confidence c, the share c is right. The expected calibration
error estimates the distance from that; it is not zero for a perfect network, because a bin with few examples misses its
own confidence by chance. `calibration_noise` says by how much, so that an error can be compared with it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils._checks import check_at_least, check_floating, check_labels
from course_utils._types import checked

NUM_BINS = 15  # of equal width, as in Guo et al. 2017
_BISECTIONS = 80  # halvings of an interval of length 2 ln 1000: below the spacing of float64
_COLDEST = 1e-3  # temperatures from here to its inverse are tried


class ReliabilityBins(NamedTuple):
    """Predictions sorted by confidence into bins of equal width; a bin without examples has NaN for its means."""

    edges: Tensor  # [bins + 1], from 0 to 1
    counts: Tensor  # [bins], int64
    confidence: Tensor  # [bins], mean of the largest probability
    accuracy: Tensor  # [bins], share of right answers


@checked
def reliability_bins(probabilities: Tensor, labels: Tensor, *, num_bins: int = NUM_BINS) -> ReliabilityBins:
    r"""Sort predictions by the probability of the class predicted, and ask each bin how often it was right.

    Bin b holds the confidences in :math:`(b/B,\,(b+1)/B]`.

    Args:
        probabilities: [N, K], rows that sum to 1 (not logits).
        labels: classes [N].
        num_bins: B >= 1.
    Raises: ValueError: if the rows are no distributions, N is 0 or differs, or there is no bin.
    Source: Guo et al. 2017 (ICML; arXiv:1706.04599), section 2.
    """
    _check_predictions(probabilities, labels)
    check_at_least("num_bins", num_bins, 1)
    confidence, predicted = probabilities.detach().double().max(1)
    right = (predicted == labels).double()
    bin_of = ((confidence * num_bins).ceil().long() - 1).clamp(0, num_bins - 1)
    counts = torch.bincount(bin_of, minlength=num_bins)
    sums = torch.zeros(2, num_bins, dtype=torch.float64, device=confidence.device)
    sums.index_add_(1, bin_of, torch.stack([confidence, right]))
    means = sums / counts  # 0 / 0 is NaN: an empty bin has no mean
    return ReliabilityBins(torch.linspace(0, 1, num_bins + 1), counts, means[0], means[1])


@checked
def expected_calibration_error(probabilities: Tensor, labels: Tensor, *, num_bins: int = NUM_BINS) -> float:
    r"""Return the mean distance between confidence and accuracy over the bins, each weighted by its examples.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n}\,|\mathrm{acc}_b - \mathrm{conf}_b|

    It depends on the number of bins, and is above 0 by chance even for a calibrated network (`calibration_noise`).

    Args:
        probabilities: [N, K], rows that sum to 1.
        labels: classes [N].
        num_bins: bins of equal width.
    Returns: a number in [0, 1].
    Source: Naeini, Cooper and Hauskrecht 2015 (AAAI); Guo et al. 2017, eq. 3.
    """
    bins = reliability_bins(probabilities, labels, num_bins=num_bins)
    gaps = (bins.accuracy - bins.confidence).abs().nan_to_num(0.0)
    return float((bins.counts * gaps).sum() / bins.counts.sum())


@checked
def calibration_noise(probabilities: Tensor, *, num_bins: int = NUM_BINS) -> float:
    r"""Return the calibration error that a perfectly calibrated network with these probabilities has by chance.

    The number of right answers in bin b has variance :math:`v_b = \sum_i c_i(1-c_i)`; a normal variable of that
    variance has the mean size :math:`\sqrt{2 v_b/\pi}`, and the bins' sizes add up:

    .. math:: E[\mathrm{ECE}] \approx \frac1n \sum_b \sqrt{2 v_b / \pi}

    Args:
        probabilities: [N, K], rows that sum to 1; labels are not needed.
        num_bins: bins of equal width.
    """
    _check_predictions(probabilities, probabilities.new_zeros(probabilities.shape[:1], dtype=torch.int64))
    check_at_least("num_bins", num_bins, 1)
    confidence = probabilities.detach().double().amax(1)
    bin_of = ((confidence * num_bins).ceil().long() - 1).clamp(0, num_bins - 1)
    variance = torch.zeros(num_bins, dtype=torch.float64, device=confidence.device)
    variance.index_add_(0, bin_of, confidence * (1 - confidence))
    return float((2 * variance / math.pi).sqrt().sum() / len(confidence))


@checked
def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    r"""Return the mean squared distance between the probabilities and the one-hot label, in [0, 2].

    .. math:: \frac1n \sum_i \sum_k (p_{ik} - [k = y_i])^2

    Like cross-entropy it is lowest, in expectation, at the true probabilities; unlike it, it is bounded.

    Args:
        probabilities: [N, K], rows that sum to 1.
        labels: classes [N].
    Source: Brier 1950 (Monthly Weather Review 78, p. 1-3), eq. 2.
    """
    _check_predictions(probabilities, labels)
    one_hot = torch.nn.functional.one_hot(labels, probabilities.shape[1])
    return float((probabilities.detach().double() - one_hot).square().sum(1).mean())


@checked
def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    r"""Return the one number T > 0 that, dividing all logits, makes the cross-entropy lowest.

    In :math:`\beta = 1/T` the cross-entropy is convex, with the derivative
    :math:`\overline{E_{p_\beta}[z] - z_y}`; its zero is found by bisection. Fit it on VALIDATION data: on training data
    a network is right nearly everywhere, and T would only make it more certain. The largest logit stays the largest,
    so no prediction changes.

    Args:
        logits: [N, K].
        labels: classes [N].
    Raises: ValueError: if no finite T is best: every answer is right, or guessing is better than the network.
    Source: Guo et al. 2017 (ICML; arXiv:1706.04599), section 4.2.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"logits need shape (N, classes) and labels (N,), N >= 1, got {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}."
        )
    check_floating(logits=logits)
    check_labels("labels", labels, logits.shape[1])
    z = logits.detach().double()
    if not bool(torch.isfinite(z).all()):
        raise ValueError("logits must be finite numbers: one of them is not, and no temperature mends that.")
    chosen = z.gather(1, labels[:, None])[:, 0]

    def slope(log_beta: float) -> float:
        p = (math.exp(log_beta) * z).softmax(1)
        return float(((p * z).sum(1) - chosen).mean())

    cold, hot = -math.log(_COLDEST), math.log(_COLDEST)  # logarithms of beta
    if slope(cold) <= 0:
        raise ValueError(
            f"No temperature above {_COLDEST:g} is best for these logits: the colder, the better, because every answer "
            "is right. Fit on validation data that the network gets partly wrong."
        )
    if slope(hot) >= 0:
        raise ValueError(
            f"No temperature below {1 / _COLDEST:g} is best: the hotter, the better, because these logits are no "
            "better than guessing. Check that logits and labels belong together."
        )
    for _ in range(_BISECTIONS):
        middle = (cold + hot) / 2
        cold, hot = (middle, hot) if slope(middle) > 0 else (cold, middle)
    return math.exp(-(cold + hot) / 2)


def _check_predictions(probabilities: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless these are distributions over classes and as many labels."""
    check_floating(probabilities=probabilities)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            f"probabilities need shape (N, classes) and labels (N,), N >= 1, got {tuple(probabilities.shape)} and "
            f"{tuple(labels.shape)}."
        )
    check_labels("labels", labels, probabilities.shape[1])
    sums = probabilities.detach().double().sum(1)
    # 1e-3 is chosen: a softmax in float16 passes. NaN is no distribution, hence `not`.
    if not (float(probabilities.detach().min()) >= 0 and float((sums - 1).abs().max()) <= 1e-3):
        raise ValueError(
            f"probabilities need rows >= 0 that sum to 1, got sums from {float(sums.min()):.3g} to "
            f"{float(sums.max()):.3g}. Of logits take .softmax(1) first."
        )
