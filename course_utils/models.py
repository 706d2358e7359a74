"""Which network is it? Multilayer perceptrons, and residual ones, with the parameter names that the equations use."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from course_utils._checks import check_at_least, check_choice
from course_utils._types import checked, describe

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,  # a deep LINEAR network: what is left of depth without a nonlinearity
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": nn.functional.leaky_relu,
    "selu": torch.selu,
    "gelu": nn.functional.gelu,
}


class MLP(nn.Module):
    r"""A stack of linear layers with one activation between them and none after the last.

    .. math:: z_l = W_l\, h_{l-1} + b_l, \qquad h_l = \phi(z_l), \qquad \text{logits} = z_L

    Parameters are named `layers.<l>.weight` (shape [fan_out, fan_in]) and `layers.<l>.bias`, l = 0, 1, ...

    Args:
        widths: sizes from the input to the logits, such as (784, 100, 10); at least two.
        activation: key of ACTIVATIONS.
        initializer: rule applied to each weight, such as `initializers.he_normal_` with its generator bound; biases
            are then 0. None keeps torch's default for nn.Linear (uniform, variance 1 / (3 fan_in), biases too).
        generator: source of randomness of the default; None uses torch's global one. Not used with an initializer.
    Raises: ValueError: if there are fewer than two widths, one is not positive, or the activation is unknown.
    """

    @checked
    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str = "relu",
        initializer: Callable[[Tensor], Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths needs two or more positive sizes, input first, got {tuple(widths)}.")
        check_choice("activation", activation, ACTIVATIONS)
        self.widths, self.activation = tuple(widths), activation
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, fan_in, fan_out)  # type: ignore[no-untyped-call]
            for fan_in, fan_out in itertools.pairwise(widths)
        )
        with torch.no_grad():
            for layer in self.layers:
                _fill(layer, initializer, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, widths[-1]] of inputs [N, widths[0]]; images [N, C, H, W] are flattened.

        Raises: ValueError: if `x` has another number of features or another dtype than the weights.
        """
        try:
            return self._logits(x)
        except (
            AttributeError,
            IndexError,
            RuntimeError,
        ) as error:  # looked at only now: a step costs nothing more
            width, dtype = self.widths[0], self.layers[0].weight.dtype
            if (
                isinstance(x, Tensor)
                and x.flatten(min(1, x.ndim - 1)).shape[1:] == (width,)
                and x.dtype == dtype
            ):
                raise
            raise ValueError(f"x needs shape (N, {width}) and {dtype}, got x={describe(x)}.") from error

    def _logits(self, x: Tensor) -> Tensor:
        phi = ACTIVATIONS[self.activation]
        h = x.flatten(1)
        for layer in self.layers[:-1]:
            h = phi(layer(h))
        logits: Tensor = self.layers[-1](h)
        return logits


class ResidualMLP(nn.Module):
    r"""A residual stream of one width, to which each branch adds what it makes of it.

    .. math:: h_0 = W_{in} x + b_{in}, \qquad h_{l+1} = h_l + \alpha_l f_l(\phi(h_l)), \qquad
        \text{logits} = W_{out}\, h_L + b_{out}

    The branch :math:`f_l` is an MLP whose layers all have an activation before them, so that He's rule keeps the mean
    square in each. Parameters: `stem.layers.0`, `branches.<l>.layers.<k>`, `head.layers.0`; `branch_scales` [L], if
    trained.

    Args:
        widths: (inputs, width of the stream, logits).
        num_branches: L, at least 1.
        branch_depth: linear layers in a branch, at least 1.
        activation: as of `MLP`.
        initializer: as of `MLP`.
        generator: as of `MLP`.
        branch_scale: start of the trained factors :math:`\alpha_l`; 0 is SkipInit and ReZero. None: fixed at 1.
    Raises: ValueError: if a number is out of its range, `widths` are not three, or as `MLP`.
    Source: pre-activation blocks: He et al. 2016, arXiv:1603.05027. Factors that start at 0: De and Smith 2020,
        arXiv:2002.10444 (SkipInit); Bachlechner et al. 2020, arXiv:2003.04887 (ReZero).
    """

    @checked
    def __init__(
        self,
        widths: tuple[int, int, int],
        *,
        num_branches: int,
        branch_depth: int = 2,
        activation: str = "relu",
        initializer: Callable[[Tensor], Tensor] | None = None,
        generator: torch.Generator | None = None,
        branch_scale: float | None = None,
    ) -> None:
        super().__init__()
        check_at_least("num_branches", num_branches, 1)
        check_at_least("branch_depth", branch_depth, 1)
        if (
            abs(branch_scale or 0.0) > torch.finfo(torch.get_default_dtype()).max
            or branch_scale != branch_scale
        ):
            raise ValueError(
                f"branch_scale must be a finite number that fits the weights, got {branch_scale!r}."
            )
        inputs, width, outputs = widths

        def layers(*sizes: int) -> MLP:
            return MLP(sizes, activation=activation, initializer=initializer, generator=generator)

        self.stem = layers(inputs, width)
        self.branches = nn.ModuleList(layers(*[width] * (branch_depth + 1)) for _ in range(num_branches))
        self.head = layers(width, outputs)
        self.activation = activation
        self.branch_scales = (
            None if branch_scale is None else nn.Parameter(torch.full((num_branches,), float(branch_scale)))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, widths[2]] of inputs [N, widths[0]]; images [N, C, H, W] are flattened.

        Raises: ValueError: if `x` has another number of features or another dtype than the weights.
        """
        phi = ACTIVATIONS[self.activation]
        h: Tensor = self.stem(x)
        for number, branch in enumerate(self.branches):
            scale = 1.0 if self.branch_scales is None else self.branch_scales[number]
            h = h + scale * branch(phi(h))
        logits: Tensor = self.head(h)
        return logits


def _fill(
    layer: nn.Module, initializer: Callable[[Tensor], Tensor] | None, generator: torch.Generator | None
) -> None:
    """Initialize one linear layer: by the rule and zero biases, or as nn.Linear does."""
    assert isinstance(layer, nn.Linear)
    if initializer is not None:
        initializer(layer.weight)
        layer.bias.zero_()
        return
    bound = (
        layer.in_features**-0.5
    )  # kaiming_uniform_ with a = sqrt(5), as nn.Linear.reset_parameters calls it
    layer.weight.uniform_(-bound, bound, generator=generator)
    layer.bias.uniform_(-bound, bound, generator=generator)


@checked
def count_parameters(model: nn.Module) -> int:
    """Return the number of entries of all parameters that are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@checked
def summarize(model: nn.Module) -> str:
    """Return a table of the parameters, of which there may be none: name, shape, number of entries, and the total."""
    rows = [(name, tuple(p.shape), p.numel()) for name, p in model.named_parameters()]
    width = max([len("total"), *(len(name) for name, _, _ in rows)])
    lines = [f"{name:<{width}}  {shape!s:<12} {numel:>9,}" for name, shape, numel in rows]
    return "\n".join([*lines, f"{'total':<{width}}  {'':<12} {sum(numel for *_, numel in rows):>9,}"])
