r"""How large are all eigenvalues together? The trace from random products: Hutchinson's estimate and Hutch++."""

import torch
from torch import Tensor

from course_utils._checks import check_at_least
from course_utils._given import vector_function
from course_utils._types import checked
from course_utils.curvature.lanczos import _check_vector
from course_utils.curvature.products import Product


@checked
def hutchinson(
    product: Product, like: Tensor, *, generator: torch.Generator, num_products: int = 30
) -> Tensor:
    r"""Return one unbiased estimate of the trace per product; their mean is Hutchinson's.

    .. math:: \mathbb E[v^\top H v] = \operatorname{tr} H, \qquad
              \operatorname{Var}[v^\top H v] = 2 \Bigl( \|H\|_F^2 - \sum_i H_{ii}^2 \Bigr)

    Args:
        product: v [n] -> H v [n], symmetric.
        like: any tensor of shape [n] with the dtype and the device of the operator; its numbers do not matter.
        generator: of the signs in v, on the CPU.
        num_products: how many v, >= 1, with entries +1 and -1.
    Returns: [num_products], float64, on the CPU.
    Raises: ValueError: if there is no product, or one fails or has another shape. TypeError: if `like` holds no
        floating-point numbers. A product of NaN gives an estimate of NaN.
    Source: Hutchinson 1989 (Comm. Stat. Simul. 18, p. 1059-1076).
    """
    check_at_least("num_products", num_products, 1)
    product = _checked_product(product, like)
    probes = _signs(num_products, like, generator)
    return torch.tensor([float(v @ product(v)) for v in probes], dtype=torch.float64)


@checked
def hutch_plus_plus(
    product: Product, like: Tensor, *, generator: torch.Generator, num_products: int = 30
) -> float:
    r"""Return an estimate of the trace that is exact on the largest eigenvalues and random on the rest.

    .. math:: \operatorname{tr} H = \operatorname{tr}(Q^\top H Q)
              + \operatorname{tr}\bigl((I - QQ^\top)\, H\, (I - QQ^\top)\bigr)

    A third of the products finds the space Q that H stretches most, a third measures the trace in it, the last third
    estimates what is left as Hutchinson does.

    Args: as of `hutchinson`; `num_products` must be a multiple of 3, of at most 3n.
    Raises: ValueError: if it is not, and as of `hutchinson`.
    Source: Meyer, Musco, Musco and Woodruff 2021, arXiv:2010.09649, algorithm 1.
    """
    product = _checked_product(product, like)
    third = num_products // 3
    if num_products < 3 or num_products % 3 or third > like.numel():
        raise ValueError(
            f"num_products must be a multiple of 3 from 3 to {3 * like.numel()}, got {num_products}: a third "
            "each for the space, the trace in it, and the rest."
        )
    sketch = torch.stack([product(v) for v in _signs(third, like, generator)], dim=1)
    q, _ = torch.linalg.qr(sketch)  # [n, third], orthonormal columns
    inside = sum(float(column @ product(column)) for column in q.T.contiguous())
    outside = 0.0
    for v in _signs(third, like, generator):
        rest = v - q @ (q.T @ v)
        outside += float(rest @ product(rest))
    return inside + outside / third


def _checked_product(product: Product, like: Tensor) -> Product:
    _check_vector("like", like)
    return vector_function("product", product, "a vector like `like`")


def _signs(num: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Return [num, n] independent entries +1 or -1, equally likely."""
    coins = torch.randint(0, 2, (num, like.numel()), generator=generator)
    return (2 * coins - 1).to(like)
