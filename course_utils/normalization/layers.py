"""Where do parameters and running statistics live? Modules around the functions, which autograd differentiates."""

import torch
from torch import Tensor, nn

from course_utils._checks import check_floating, check_positive, check_probability, check_shape
from course_utils._types import checked
from course_utils.normalization.functions import (
    BatchNormSaved,
    batch_norm,
    batch_norm_inference,
    layer_norm,
    rms_norm,
    running_average,
)
from course_utils.seeding import make_generator


class BatchNorm1d(nn.Module):
    """Normalize each unit over the batch in training mode, by running statistics in evaluation mode.

    Every forward pass in training mode moves `running_mean` and `running_var`, also under `torch.no_grad()`. Equal to
    torch.nn.BatchNorm1d, whose `weight` and `bias` are `gamma` and `beta` here. See `batch_norm`.

    Args:
        num_features: units of the layer, >= 1.
        eps: ε >= 0, added to the variance.
        momentum: weight of the NEW value in the running statistics, in [0, 1].
    Raises: ValueError: if an argument is out of its range.
    """

    running_mean: Tensor
    running_var: Tensor

    @checked
    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        check_positive("num_features", num_features)
        check_positive("eps", eps, strict=False)
        check_probability("momentum", momentum)
        self.eps, self.momentum = eps, momentum
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return y [batch, features] of x [batch, features]."""
        if not self.training:
            return batch_norm_inference(
                x, self.gamma, self.beta, self.running_mean, self.running_var, eps=self.eps
            )
        y, saved = batch_norm(x, self.gamma, self.beta, eps=self.eps)
        self._remember(saved, len(x))
        return y

    @torch.no_grad()
    def _remember(self, saved: BatchNormSaved, batch_size: int) -> None:
        unbiased = saved.var * batch_size / (batch_size - 1)
        self.running_mean.copy_(running_average(self.running_mean, saved.mean, momentum=self.momentum))
        self.running_var.copy_(running_average(self.running_var, unbiased, momentum=self.momentum))


class LayerNorm(nn.Module):
    """Normalize each example over its features. See `layer_norm`.

    Args:
        num_features: size of the last dimension, >= 1.
        eps: ε >= 0, added to the variance.
    Raises: ValueError: if an argument is out of its range.
    """

    @checked
    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        check_positive("num_features", num_features)
        check_positive("eps", eps, strict=False)
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return y of the shape of x, [..., features]."""
        return layer_norm(x, self.gamma, self.beta, eps=self.eps)[0]


class RMSNorm(nn.Module):
    """Divide each example by the root mean square of its features. See `rms_norm`.

    Args:
        num_features: size of the last dimension, >= 1.
        eps: ε >= 0, added to the mean square.
    Raises: ValueError: if an argument is out of its range.
    """

    @checked
    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        check_positive("num_features", num_features)
        check_positive("eps", eps, strict=False)
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return y of the shape of x, [..., features]."""
        return rms_norm(x, self.gamma, eps=self.eps)[0]


class MovingNoise(nn.Module):
    r"""In training, scale and shift each unit by numbers drawn anew at every step; in evaluation, do nothing.

    A distribution that never rests, to be put behind a normalization: what trains all the same does not owe it to a
    distribution that rests.

    .. math:: z \leftarrow z\,(1 + \tfrac12 |\xi|) + \tfrac12 \xi', \qquad \xi, \xi' \sim \mathcal N(0, 1)
              \text{ per unit}

    Args:
        num_features: units of the layer, >= 1; it seeds the module's own generator as well.
    Source: after Santurkar et al. 2018, arXiv:1805.11604, section 2.2.
    """

    @checked
    def __init__(self, num_features: int) -> None:
        super().__init__()
        check_positive("num_features", num_features)
        self._num_features, self._generator = num_features, make_generator(num_features)

    @checked
    def forward(self, z: Tensor) -> Tensor:
        """Return z [batch, features], moved in training mode."""
        check_floating(z=z)
        check_shape("z", z.shape, (None, self._num_features))
        if not self.training:
            return z
        scale, shift = torch.randn(2, self._num_features, generator=self._generator).to(z)
        moved: Tensor = z * (1 + 0.5 * scale.abs()) + 0.5 * shift
        return moved
