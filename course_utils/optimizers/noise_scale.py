r"""How large a batch is worth its price? The noise of a gradient beside its length.

The gradient of a batch of B examples is the true one, G, plus noise of variance :math:`\text{tr}\,\Sigma / B`. Below a
batch of :math:`\text{tr}\,\Sigma / |G|^2` twice the examples save nearly half of the steps, above it hardly any.
"""

from typing import NamedTuple

from torch import Tensor

from course_utils._checks import check_finite, check_floating
from course_utils._types import checked


class NoiseScale(NamedTuple):
    """What a gradient is made of, estimated without bias; with few examples `signal` may come out below 0."""

    signal: float  # |G|^2, squared length of the true gradient
    noise: float  # tr Sigma, variance of the gradient of one example, over all entries

    @property
    def examples(self) -> float:
        """Return tr Σ / |G|², the batch size at which noise and signal are equal; infinite where no signal is seen."""
        return self.noise / self.signal if self.signal > 0 else float("inf")


@checked
def noise_scale(small: float, large: float, *, batch_sizes: tuple[float, float]) -> NoiseScale:
    r"""Return signal and noise from the mean squared length of gradients of two batch sizes.

    .. math:: E\,|G_B|^2 = |G|^2 + \frac{\text{tr}\,\Sigma}{B}
              \quad\Longrightarrow\quad |G|^2 = \frac{B\,|G_B|^2 - b\,|G_b|^2}{B - b}, \qquad
              \text{tr}\,\Sigma = \frac{|G_b|^2 - |G_B|^2}{1/b - 1/B}

    Average both squared lengths over many batches before: the ratio of two noisy numbers is biased.

    Args:
        small: mean squared length of gradients of b examples.
        large: mean squared length of gradients of B examples.
        batch_sizes: (b, B), 0 < b < B.
    Raises: ValueError: if a length is negative or not finite, or b is not between 0 and B.
    Source: McCandlish et al. 2018 (arXiv:1812.06162), eq. 2.9 and appendix A.1.
    """
    for name, value in {"small": small, "large": large}.items():
        check_finite(name, value)
        if value < 0:
            raise ValueError(f"{name} is a squared length and must be >= 0, got {name}={value!r}.")
    b, B = batch_sizes
    if not 0 < b < B < float("inf"):
        raise ValueError(f"batch_sizes must be two, the smaller first and > 0, got {batch_sizes!r}.")
    found = NoiseScale(signal=(B * large - b * small) / (B - b), noise=(small - large) / (1 / b - 1 / B))
    for part in found:
        check_finite("what small, large and batch_sizes say of the gradient", part)
    return found


@checked
def noise_scale_of_examples(gradients: Tensor) -> NoiseScale:
    r"""Return signal and noise from the gradients of single examples.

    .. math:: \text{tr}\,\Sigma = \frac{1}{N - 1} \sum_i |g_i - \bar g|^2, \qquad
              |G|^2 = |\bar g|^2 - \frac{\text{tr}\,\Sigma}{N}

    which is `noise_scale` of batches of 1 and of N.

    Args:
        gradients: [N, parameters], N >= 2.
    Raises: ValueError: if it has another shape, or the squared lengths are not finite; TypeError: if it is not of real
        numbers.
    Source: McCandlish et al. 2018 (arXiv:1812.06162), eq. 2.9.
    """
    check_floating(gradients=gradients)
    if gradients.ndim != 2 or len(gradients) < 2:
        raise ValueError(f"gradients needs shape (N, parameters), N >= 2, got {tuple(gradients.shape)}.")
    gradients = gradients.detach().double()
    single = float(gradients.square().sum(1).mean())
    whole = float(gradients.mean(0).square().sum())
    check_finite("the mean squared length of gradients", single)
    return noise_scale(single, whole, batch_sizes=(1.0, float(len(gradients))))
