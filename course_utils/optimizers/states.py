"""What must a method remember about one parameter? The states of the rules, as named tuples of tensors."""

from typing import NamedTuple

import torch
from torch import Tensor


class SGDState(NamedTuple):
    """Plain SGD remembers nothing."""

    @classmethod
    def zeros_like(cls, param: Tensor) -> "SGDState":
        """Return the state before the first step; `param` is not needed."""
        return cls()


class MomentumState(NamedTuple):
    """Velocity of one parameter tensor."""

    buf: Tensor  # heavy ball and Nesterov: discounted SUM of gradients, up to 1 / (1 - momentum) of them

    @classmethod
    def zeros_like(cls, param: Tensor) -> "MomentumState":
        """Return the state before the first step: a velocity of 0 with the shape of `param`."""
        return cls(torch.zeros_like(param))


class EMAMomentumState(NamedTuple):
    """Moving average of the gradient of one parameter tensor."""

    m: Tensor  # weighted MEAN of gradients, in units of the gradient

    @classmethod
    def zeros_like(cls, param: Tensor) -> "EMAMomentumState":
        """Return the state before the first step: an average of 0 with the shape of `param`."""
        return cls(torch.zeros_like(param))


class AdaGradState(NamedTuple):
    """Sum of squared gradients of one parameter tensor."""

    v: Tensor  # entries >= 0, never falling

    @classmethod
    def zeros_like(cls, param: Tensor) -> "AdaGradState":
        """Return the state before the first step: a sum of 0 with the shape of `param`."""
        return cls(torch.zeros_like(param))


class RMSPropState(NamedTuple):
    """Moving average of the squared gradient of one parameter tensor."""

    v: Tensor  # entries >= 0

    @classmethod
    def zeros_like(cls, param: Tensor) -> "RMSPropState":
        """Return the state before the first step: an average of 0 with the shape of `param`."""
        return cls(torch.zeros_like(param))


class AdamState(NamedTuple):
    """Running moments of one parameter tensor."""

    step: int  # t: how many updates this state has already seen
    m: Tensor  # first moment, same shape as the parameter
    v: Tensor  # second moment, same shape as the parameter, entries >= 0

    @classmethod
    def zeros_like(cls, param: Tensor) -> "AdamState":
        """Return the state before the first step: t = 0 and two moments of 0 with the shape of `param`."""
        return cls(0, torch.zeros_like(param), torch.zeros_like(param))
