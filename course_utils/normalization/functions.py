"""What does each normalization compute, and what comes back through it? Forward and backward, as pure functions."""

from typing import NamedTuple

from torch import Tensor

from course_utils._checks import (
    check_floating,
    check_positive,
    check_probability,
    check_same_shape,
    check_shape,
)
from course_utils._types import checked

Gradients = tuple[Tensor, Tensor, Tensor]


class BatchNormSaved(NamedTuple):
    """What the backward pass of `batch_norm` needs, and the statistics that the running ones are made of."""

    x_hat: Tensor  # [batch, features], mean 0 and variance var / (var + eps) over the batch
    std: Tensor  # [features], sqrt(var + eps)
    gamma: Tensor  # [features]
    mean: Tensor  # [features]
    var: Tensor  # [features], biased: divided by the number of examples


class LayerNormSaved(NamedTuple):
    """What the backward pass of `layer_norm` needs."""

    x_hat: Tensor  # [..., features], mean 0 over the features of each example
    std: Tensor  # [..., 1], sqrt(var + eps)
    gamma: Tensor  # [features]


class RMSNormSaved(NamedTuple):
    """What the backward pass of `rms_norm` needs."""

    x_hat: Tensor  # [..., features], mean square 1 over the features of each example
    rms: Tensor  # [..., 1], sqrt(mean(x**2) + eps)
    gamma: Tensor  # [features]


@checked
def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> tuple[Tensor, BatchNormSaved]:
    r"""Give each unit mean β and standard deviation γ over the batch, whatever the layer before it does.

    .. math:: \hat x = \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}}, \qquad y = \gamma\,\hat x + \beta

    Mean and variance are those of the batch, so an example's output depends on its company.

    Args:
        x: [batch, features], two or more examples.
        gamma: scale γ, [features].
        beta: shift β, [features].
        eps: ε >= 0, added to the variance, inside the root.
    Returns: (y of the shape of `x`, what `batch_norm_backward` needs).
    Raises: ValueError: if `x` is no matrix or has a single example, sizes differ, or `eps` is negative. TypeError: if
        a tensor has no floating-point dtype. NaN is not looked for and comes out again, here and in all that follows.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1. Notebook 10, eqs. 10.1 and 10.2.
    """
    check_positive("eps", eps, strict=False)
    _check_batch(x, gamma=gamma, beta=beta)
    mean, var = x.mean(0), x.var(0, correction=0)
    std = (var + eps).sqrt()
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, BatchNormSaved(x_hat, std, gamma, mean, var)


@checked
def batch_norm_backward(grad_y: Tensor, saved: BatchNormSaved) -> Gradients:
    r"""Send the gradient of the loss through `batch_norm`, with mean and variance taken as functions of x.

    .. math:: \frac{\partial L}{\partial x} = \frac{1}{\sqrt{\sigma_B^2+\epsilon}}
              \Bigl(\hat g - \overline{\hat g} - \hat x\,\overline{\hat g\,\hat x}\Bigr),
              \qquad \hat g = \gamma\,\frac{\partial L}{\partial y}

    The bars are means over the batch: what would move the mean or the variance of the batch is taken out.

    Args:
        grad_y: gradient with respect to y, [batch, features].
        saved: second part of what `batch_norm` returned.
    Returns: gradients with respect to x [batch, features], gamma and beta [features].
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3; the compact form is notebook 10, eq. 10.7.
    """
    x_hat = saved.x_hat
    _check_gradient(grad_y, x_hat)
    g = saved.gamma * grad_y
    grad_x = (g - g.mean(0) - x_hat * (g * x_hat).mean(0)) / saved.std
    return grad_x, (grad_y * x_hat).sum(0), grad_y.sum(0)


@checked
def batch_norm_inference(
    x: Tensor, gamma: Tensor, beta: Tensor, running_mean: Tensor, running_var: Tensor, *, eps: float = 1e-5
) -> Tensor:
    r"""Normalize with remembered statistics: a fixed affine map, in which examples do not see each other.

    .. math:: y = \gamma\,\frac{x - \mu_{run}}{\sqrt{\sigma_{run}^2 + \epsilon}} + \beta

    Args:
        x: [batch, features], one example suffices.
        gamma: scale γ, [features].
        beta: shift β, [features].
        running_mean: [features].
        running_var: [features], >= 0.
        eps: ε >= 0.
    Returns: y of the shape of `x`.
    """
    check_positive("eps", eps, strict=False)
    check_shape("x", x.shape, (None, None))
    _check_features(x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    return gamma * (x - running_mean) / (running_var + eps).sqrt() + beta


@checked
def running_average(running: Tensor, new: Tensor, *, momentum: float = 0.1) -> Tensor:
    r"""Let a remembered statistic move towards a new one: :math:`(1-m)\,r + m\,s`.

    After t equal values s it has come :math:`1-(1-m)^t` of the way. `momentum` is the weight of the NEW value, in
    [0, 1], as in torch; an optimizer's momentum is that of the old one.
    """
    check_probability("momentum", momentum)
    check_floating(running=running, new=new)
    check_same_shape(running=running, new=new)
    return (1 - momentum) * running + momentum * new


@checked
def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> tuple[Tensor, LayerNormSaved]:
    r"""Give each EXAMPLE mean 0 and variance 1 over its own features, then scale and shift unit by unit.

    .. math:: \hat x = \frac{x - \mu(x)}{\sqrt{\sigma^2(x) + \epsilon}}, \qquad y = \gamma\,\hat x + \beta

    No statistic crosses from one example to another: a batch of one is as good as any, and there is no mode.

    Args:
        x: [..., features], two or more features.
        gamma: scale γ, [features].
        beta: shift β, [features].
        eps: ε >= 0, added to the variance, inside the root.
    Returns: (y of the shape of `x`, what `layer_norm_backward` needs).
    Raises: ValueError: if the last dimension of `x` is not that of `gamma` and `beta`, or `eps` is negative.
    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450. Notebook 10, eq. 10.19.
    """
    check_positive("eps", eps, strict=False)
    _check_features(x, gamma=gamma, beta=beta)
    mean, var = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
    std = (var + eps).sqrt()
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, LayerNormSaved(x_hat, std, gamma)


@checked
def layer_norm_backward(grad_y: Tensor, saved: LayerNormSaved) -> Gradients:
    r"""Send the gradient through `layer_norm`: the formula of `batch_norm_backward` with means over the features.

    Args:
        grad_y: gradient with respect to y, [..., features].
        saved: second part of what `layer_norm` returned.
    Returns: gradients with respect to x [..., features], gamma and beta [features].
    """
    x_hat = saved.x_hat
    _check_gradient(grad_y, x_hat)
    g = saved.gamma * grad_y
    grad_x = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) / saved.std
    return grad_x, _over_examples(grad_y * x_hat), _over_examples(grad_y)


@checked
def rms_norm(x: Tensor, gamma: Tensor, *, eps: float = 1e-5) -> tuple[Tensor, RMSNormSaved]:
    r"""Divide each example by its root mean square: LayerNorm without the mean and without the shift.

    .. math:: \hat x = \frac{x}{\sqrt{\overline{x^2} + \epsilon}}, \qquad y = \gamma\,\hat x

    Args:
        x: [..., features].
        gamma: scale γ, [features].
        eps: ε >= 0, added to the mean square, inside the root. torch's default is the smallest step of the dtype.
    Returns: (y of the shape of `x`, what `rms_norm_backward` needs).
    Raises: ValueError: if the last dimension of `x` is not that of `gamma`, or `eps` is negative.
    Source: Zhang and Sennrich 2019, arXiv:1910.07467. Notebook 10, eq. 10.19.
    """
    check_positive("eps", eps, strict=False)
    _check_features(x, gamma=gamma)
    rms = (x.square().mean(-1, keepdim=True) + eps).sqrt()
    x_hat = x / rms
    return gamma * x_hat, RMSNormSaved(x_hat, rms, gamma)


@checked
def rms_norm_backward(grad_y: Tensor, saved: RMSNormSaved) -> tuple[Tensor, Tensor]:
    r"""Send the gradient through `rms_norm`: only the part along :math:`\hat x` is taken out.

    .. math:: \frac{\partial L}{\partial x} = \frac{1}{rms}\bigl(\hat g - \hat x\,\overline{\hat g\,\hat x}\bigr)

    Args:
        grad_y: gradient with respect to y, [..., features].
        saved: second part of what `rms_norm` returned.
    Returns: gradients with respect to x [..., features] and gamma [features].
    """
    x_hat = saved.x_hat
    _check_gradient(grad_y, x_hat)
    g = saved.gamma * grad_y
    grad_x = (g - x_hat * (g * x_hat).mean(-1, keepdim=True)) / saved.rms
    return grad_x, _over_examples(grad_y * x_hat)


def _check_batch(x: Tensor, **parameters: Tensor) -> None:
    check_shape("x", x.shape, (None, None))
    _check_features(x, **parameters)
    if len(x) < 2:
        raise ValueError(
            f"BatchNorm1d needs at least 2 examples to estimate a variance, got batch of shape {tuple(x.shape)}. "
            "Use LayerNorm, or call model.eval()."
        )


def _check_features(x: Tensor, **parameters: Tensor) -> None:
    """Raise unless each parameter has one real number for each feature of x: another shape might be broadcast."""
    check_floating(x=x, **parameters)
    for name, parameter in parameters.items():
        if x.numel() == 0 or x.ndim == 0 or parameter.shape != x.shape[-1:]:
            raise ValueError(
                f"{name} needs one number for each feature of x, [..., features] and not empty, got {name} of shape "
                f"{tuple(parameter.shape)} and x of shape {tuple(x.shape)}."
            )


def _check_gradient(grad_y: Tensor, x_hat: Tensor) -> None:
    check_floating(grad_y=grad_y)
    check_shape("grad_y", grad_y.shape, x_hat.shape)


def _over_examples(values: Tensor) -> Tensor:
    """Sum over all dimensions but the last."""
    return values.reshape(-1, values.shape[-1]).sum(0)
