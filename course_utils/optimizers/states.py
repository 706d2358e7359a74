"""What must a method remember about one parameter? The states of the rules, as named tuples of tensors."""

from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.optimizers._arguments import check_matrix


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


class AMSGradState(NamedTuple):
    """Running moments of one parameter tensor, and the largest second moment so far."""

    step: int  # t: how many updates this state has already seen
    m: Tensor  # first moment, same shape as the parameter
    v: Tensor  # second moment, same shape, entries >= 0
    v_max: Tensor  # largest v so far, entry by entry, never falling

    @classmethod
    def zeros_like(cls, param: Tensor) -> "AMSGradState":
        """Return the state before the first step: t = 0 and three tensors of 0 with the shape of `param`."""
        return cls(0, torch.zeros_like(param), torch.zeros_like(param), torch.zeros_like(param))


class ShampooState(NamedTuple):
    """What Shampoo remembers of a matrix [..., m, n]: how its gradients vary along rows and along columns."""

    left: Tensor  # L [..., m, m]: sum of G G^T
    right: Tensor  # R [..., n, n]: sum of G^T G

    def shapes_for(self, grad: Tensor) -> tuple[torch.Size, torch.Size]:
        """Return the shapes of L and R that belong to a gradient [..., m, n].

        Raises: ValueError: if it has fewer than two axes.
        """
        check_matrix("grad", grad)
        m, n = grad.shape[-2:]
        return torch.Size((*grad.shape[:-2], m, m)), torch.Size((*grad.shape[:-2], n, n))

    @classmethod
    def zeros_like(cls, param: Tensor) -> "ShampooState":
        """Return the state before the first step: two sums of 0.

        Raises: ValueError: if the parameter has fewer than two axes.
        """
        check_matrix("param", param)
        *stack, m, n = param.shape
        return cls(param.new_zeros(*stack, m, m), param.new_zeros(*stack, n, n))


class SOAPState(NamedTuple):
    """What SOAP remembers of a matrix [..., m, n]: Adam's moments, and the bases in which they are taken."""

    step: int  # gradients seen so far; the first one makes the bases and no step
    m: Tensor  # first moment [..., m, n], as the parameter lies
    v: Tensor  # second moment [..., m, n], in the rotated coordinates
    left: Tensor  # L [..., m, m]: moving average of G G^T
    right: Tensor  # R [..., n, n]: moving average of G^T G
    left_basis: Tensor  # Q_L [..., m, m]: columns are eigenvectors of L, or nearly
    right_basis: Tensor  # Q_R [..., n, n]

    def shapes_for(self, grad: Tensor) -> tuple[torch.Size, ...]:
        """Return the shapes of all entries (one for `step`, unused) that belong to a gradient [..., m, n]."""
        factors = ShampooState.shapes_for(ShampooState(self.left, self.right), grad)
        return (torch.Size(), grad.shape, grad.shape, *factors, *factors)

    @classmethod
    def zeros_like(cls, param: Tensor) -> "SOAPState":
        """Return the state before the first gradient: all 0."""
        factors = ShampooState.zeros_like(param)
        return cls(
            0, torch.zeros_like(param), torch.zeros_like(param), *factors, *map(torch.zeros_like, factors)
        )


class ScheduleFreeState(NamedTuple):
    """The two walkers behind the point y at which schedule-free SGD takes its gradients."""

    total: float  # sum of the squared learning rates so far: the newest weighs lr^2 / total in the average
    z: Tensor  # walks as the method beneath would, same shape as the parameter
    x: Tensor  # weighted average of all z: the point to evaluate

    @classmethod
    def start_at(cls, param: Tensor) -> "ScheduleFreeState":
        """Return the state before the first step: both walkers stand at the parameter."""
        return cls(0.0, param.detach().clone(), param.detach().clone())


class ScheduleFreeAdamState(NamedTuple):
    """The two walkers of schedule-free Adam, and its second moment."""

    step: int  # t: how many updates this state has already seen
    v: Tensor  # second moment, same shape as the parameter, entries >= 0
    total: float  # as in ScheduleFreeState, like the two below
    z: Tensor
    x: Tensor

    @classmethod
    def start_at(cls, param: Tensor) -> "ScheduleFreeAdamState":
        """Return the state before the first step: t = 0, a second moment of 0, both walkers at the parameter."""
        return cls(0, torch.zeros_like(param), *ScheduleFreeState.start_at(param))
