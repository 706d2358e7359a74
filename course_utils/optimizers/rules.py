r"""What does each method do with one gradient? The formulas alone: tensors in, tensors out.

A rule takes the gradient and what it remembers (its state), and returns `delta`, which is ADDED to the parameter (sign
and learning rate included), and the new state. Inputs are left alone. Every hyper-parameter may be a number or a tensor
that broadcasts against the gradient, so one call moves a whole grid of runs: `lr` of shape [L, 1] against gradients of
shape [B, L, 2]. The in-place classes of `course_utils.optimizers.classes` are tested equal to these rules.

Two conventions differ from paper to paper. `momentum` is torch's heavy ball, where the new gradient enters with weight
1; `ema_momentum` is the moving average, where it enters with 1 - beta1 and the same lr moves (1 - beta1) times as far.
`eps` stands outside the square root, as in torch and in Algorithm 1 of the Adam paper.

Every rule raises ValueError for a gradient that is not of real floating point numbers or has another shape than its
state, and for a hyper-parameter that is a number out of its range. Tensors are not looked into: NaN comes out again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from course_utils.optimizers._arguments import rule
from course_utils.optimizers.states import (
    AdaGradState,
    AdamState,
    EMAMomentumState,
    MomentumState,
    RMSPropState,
    SGDState,
)

Scalar = float | Tensor


@rule
def sgd_update(grad: Tensor, state: SGDState, *, lr: Scalar) -> tuple[Tensor, SGDState]:
    r"""Step against the gradient: :math:`\Delta = -\eta\, g`.

    Args:
        grad: gradient g of the loss, any shape.
        state: `SGDState()`, empty.
        lr: learning rate η >= 0, a number or a tensor that broadcasts against `grad`.
    Returns: (delta of the shape of `grad`, the state).
    Source: Robbins and Monro 1951 (Annals of Mathematical Statistics 22, p. 400-407), for noisy observations.
    """
    return -lr * grad, state


@rule
def momentum_update(
    grad: Tensor, state: MomentumState, *, lr: Scalar, momentum: Scalar = 0.9
) -> tuple[Tensor, MomentumState]:
    r"""Let the parameter roll: heavy-ball momentum in torch's form, the new gradient with weight 1.

    .. math:: b_t = \mu\, b_{t-1} + g_t, \qquad \Delta_t = -\eta\, b_t

    Under a constant gradient the step grows to :math:`\eta g / (1-\mu)`: ten times SGD's at μ = 0.9.

    Args:
        grad: gradient g, any shape.
        state: velocity b, same shape.
        lr: learning rate η >= 0.
        momentum: μ in [0, 1).
    Returns: (delta, new state), both of the shape of `grad`.
    Source: Polyak 1964 (USSR Comput. Math. Math. Phys. 4(5), p. 1-17); the form is that of torch.optim.SGD.
    """
    buf = momentum * state.buf + grad
    return -lr * buf, MomentumState(buf)


@rule
def ema_momentum_update(
    grad: Tensor, state: EMAMomentumState, *, lr: Scalar, beta1: Scalar = 0.9
) -> tuple[Tensor, EMAMomentumState]:
    r"""Step along a moving average of the gradient, the new gradient with weight 1 - β₁.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad \Delta_t = -\eta\, m_t

    The same path as heavy ball with momentum β₁ and the learning rate of `ema_lr_to_torch`.

    Args:
        grad: gradient g, any shape.
        state: average m, same shape.
        lr: learning rate η >= 0.
        beta1: decay β₁ in [0, 1).
    Returns: (delta, new state), both of the shape of `grad`.
    Source: the first moment of Adam (Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1), without its correction.
    """
    m = beta1 * state.m + (1 - beta1) * grad
    return -lr * m, EMAMomentumState(m)


@rule
def nesterov_update(
    grad: Tensor, state: MomentumState, *, lr: Scalar, momentum: Scalar = 0.9
) -> tuple[Tensor, MomentumState]:
    r"""Look one step of momentum ahead, in torch's form, which needs the gradient only where the parameter is.

    .. math:: b_t = \mu\, b_{t-1} + g_t, \qquad \Delta_t = -\eta\,(g_t + \mu\, b_t)

    The parameter that is stored is the look-ahead point of Nesterov's method, not its running iterate.

    Args:
        grad: gradient g, any shape.
        state: velocity b, same shape.
        lr: learning rate η >= 0.
        momentum: μ in [0, 1).
    Returns: (delta, new state), both of the shape of `grad`.
    Source: Nesterov 1983 (Soviet Math. Doklady 27, p. 372-376); as momentum: Sutskever et al. 2013 (ICML), eqs. 3-4.
    """
    buf = momentum * state.buf + grad
    return -lr * (grad + momentum * buf), MomentumState(buf)


@rule
def adagrad_update(
    grad: Tensor, state: AdaGradState, *, lr: Scalar, eps: Scalar = 1e-10
) -> tuple[Tensor, AdaGradState]:
    r"""Divide every entry of the step by the root of all its squared gradients so far.

    .. math:: v_t = v_{t-1} + g_t^2, \qquad \Delta_t = -\eta\, g_t / (\sqrt{v_t} + \epsilon)

    Under a constant gradient the step is :math:`\eta/\sqrt t`: it never stops shrinking.

    Args:
        grad: gradient g, any shape; squared entry by entry.
        state: sum of squares v, same shape.
        lr: learning rate η >= 0, the size of the first step.
        eps: ε >= 0, outside the root, in units of the gradient (1e-10 is torch's).
    Returns: (delta, new state), both of the shape of `grad`.
    Source: Duchi, Hazan and Singer 2011 (JMLR 12, p. 2121-2159), the diagonal form of eq. 1.
    """
    v = state.v + grad.square()
    return -lr * grad / (v.sqrt() + eps), AdaGradState(v)


@rule
def rmsprop_update(
    grad: Tensor, state: RMSPropState, *, lr: Scalar, beta2: Scalar = 0.99, eps: Scalar = 1e-8
) -> tuple[Tensor, RMSPropState]:
    r"""Divide every entry of the step by a moving root mean square of its gradients.

    .. math:: v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad \Delta_t = -\eta\, g_t / (\sqrt{v_t} + \epsilon)

    There is no bias correction: the first step is :math:`\eta/\sqrt{1-\beta_2}`, ten times lr at β₂ = 0.99.

    Args:
        grad: gradient g, any shape; squared entry by entry.
        state: mean square v, same shape.
        lr: learning rate η >= 0, the size of a step under a steady gradient.
        beta2: decay β₂ in [0, 1) (torch calls it alpha; 0.99 is torch's, the lecture has 0.9).
        eps: ε >= 0, outside the root, in units of the gradient.
    Returns: (delta, new state), both of the shape of `grad`.
    Source: Tieleman and Hinton 2012 (Neural Networks for Machine Learning, lecture 6.5).
    """
    v = beta2 * state.v + (1 - beta2) * grad.square()
    return -lr * grad / (v.sqrt() + eps), RMSPropState(v)


@rule
def adam_update(
    grad: Tensor,
    state: AdamState,
    *,
    lr: Scalar,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    eps: Scalar = 1e-8,
) -> tuple[Tensor, AdamState]:
    r"""Divide the averaged gradient by the root of the averaged square, both freed of their bias towards 0.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2
    .. math:: \hat m_t = \frac{m_t}{1 - \beta_1^t}, \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t}, \qquad
              \Delta_t = -\eta\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}

    The first step has size lr whatever the scale of the gradient, as long as that is large against eps.

    Args:
        grad: gradient g, any shape; squared entry by entry (v is no norm).
        state: t, m and v.
        lr: learning rate η >= 0, in units of the parameter.
        beta1: decay β₁ of the first moment, in [0, 1).
        beta2: decay β₂ of the second moment, in [0, 1).
        eps: ε >= 0, outside the root, in units of the gradient.
    Returns: (delta of the shape of `grad`, new state).
    Source: Kingma and Ba 2015 (arXiv:1412.6980), Algorithm 1.
    """
    t = state.step + 1
    m = beta1 * state.m + (1 - beta1) * grad
    v = beta2 * state.v + (1 - beta2) * grad.square()
    m_hat = m / (1 - beta1**t)  # removes the bias towards m_0 = 0
    v_hat = v / (1 - beta2**t)
    return -lr * m_hat / (v_hat.sqrt() + eps), AdamState(t, m, v)


@rule
def decoupled_decay(param: Tensor, *, lr: Scalar, weight_decay: Scalar) -> Tensor:
    r"""Return what decoupled weight decay adds to the parameter: :math:`\Delta = -\eta\, \lambda\, w`.

    AdamW is `adam_update(...)[0] + decoupled_decay(param, ...)`. The L2 penalty goes into the gradient instead,
    `grad + l2 * param`, and Adam then divides it by the root of v as well: that is the whole difference.

    Args:
        param: parameter w before the step, any shape.
        lr: learning rate η >= 0.
        weight_decay: λ >= 0, per unit of learning rate.
    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101), Algorithm 2, line 12, with torch's lr in front of λ.
    """
    return -lr * weight_decay * param


class UpdateRule(Protocol):
    """Anything that is called like the rules above."""

    def __call__(self, grad: Tensor, state: Any, *, lr: Scalar) -> tuple[Tensor, Any]:
        """Return (delta, new state)."""


class Rule(NamedTuple):
    """A method by name, so that an experiment can loop over all of them."""

    name: str  # key of plotting's METHOD_COLORS
    init: Callable[[Tensor], Any]  # parameter -> state before the first step
    update: UpdateRule  # (gradient, state, *, lr) -> (delta, new state)


# AdamW without its decay is Adam: the rule sees the gradient alone, the decay sees the parameter (decoupled_decay).
RULES: dict[str, Rule] = {
    method.name: method
    for method in (
        Rule("SGD", SGDState.zeros_like, sgd_update),
        Rule("momentum", MomentumState.zeros_like, momentum_update),
        Rule("momentum (EMA)", EMAMomentumState.zeros_like, ema_momentum_update),
        Rule("Nesterov", MomentumState.zeros_like, nesterov_update),
        Rule("AdaGrad", AdaGradState.zeros_like, adagrad_update),
        Rule("RMSProp", RMSPropState.zeros_like, rmsprop_update),
        Rule("Adam", AdamState.zeros_like, adam_update),
        Rule("AdamW", AdamState.zeros_like, adam_update),
    )
}


@rule
def ema_lr_to_torch(lr: float, beta1: float) -> float:
    r"""Return the lr with which torch's heavy ball walks the path of `ema_momentum_update` at `lr`.

    .. math:: b_t = m_t / (1 - \beta_1) \quad\Longrightarrow\quad \eta_{\text{torch}} = \eta\,(1 - \beta_1)
    """
    return lr * (1 - beta1)


@rule
def torch_lr_to_ema(lr: float, momentum: float) -> float:
    r"""Return the lr with which `ema_momentum_update` walks the path of torch's heavy ball: :math:`\eta/(1-\mu)`."""
    return float(lr) / float(1 - momentum)  # numbers of NumPy would warn where the quotient overflows
