r"""Which eigenvalues has a matrix that can only be multiplied with? Lanczos, and what rounding does to it.

`lanczos` is the textbook's three-term recurrence; `reorthogonalize` adds the repair without which float32 invents
copies of eigenvalues that have been found already.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils._checks import check_at_least, check_floating
from course_utils._given import vector_function
from course_utils._types import checked
from course_utils.curvature.products import Product


class Krylov(NamedTuple):
    """What m Lanczos steps know about a symmetric matrix."""

    ritz_values: Tensor  # [m] eigenvalues of the tridiagonal matrix, descending; float64, on the CPU
    weights: Tensor  # [m] squared overlap of each Ritz vector with the start; they sum to 1
    residuals: Tensor  # [m] length of H y - theta y: an eigenvalue lies at most this far away
    tridiagonal: Tensor  # [m, m] T = Q H Q^T; float64, on the CPU
    basis: Tensor  # [m, n] the vectors q as rows, in the dtype and on the device of the start
    coordinates: Tensor  # [m, m] the Ritz vectors in this basis, as columns; float64, on the CPU

    def vectors(self, num: int = 1) -> Tensor:
        """Return the first `num` Ritz vectors as rows [num, n], each of length 1."""
        return self.coordinates[:, :num].T.to(self.basis) @ self.basis


@checked
def lanczos(product: Product, start: Tensor, *, num_steps: int = 20, reorthogonalize: bool = True) -> Krylov:
    r"""Return the Ritz values of a symmetric operator on the space spanned by q, Hq, H²q, ...

    .. math:: \beta_{j+1}\, q_{j+1} = H q_j - \alpha_j\, q_j - \beta_j\, q_{j-1}, \qquad \alpha_j = q_j \cdot H q_j

    In the basis of the q the operator is tridiagonal, with :math:`\alpha` on the diagonal and :math:`\beta` beside it.
    With numbers that are not rounded the q are orthogonal on their own; with floating point they stop being so as soon
    as a Ritz value has converged, and copies of it appear.

    Args:
        product: v [n] -> H v [n], symmetric.
        start: any vector [n] that is not orthogonal to the eigenvectors wanted; a random one.
        num_steps: products of H, at most n are taken; fewer where the space is exhausted.
        reorthogonalize: subtract from every new vector its parts along ALL earlier ones, twice.
    Raises: ValueError: if `num_steps` is below 1, the start is zero or no vector, or a product fails, has another shape
        or is not finite. TypeError: if the start holds no floating-point numbers.
    Source: Lanczos 1950 (J. Res. Nat. Bur. Standards 45, p. 255-282); Golub and Van Loan 2013, section 10.1;
        on rounding Paige 1976 (J. Inst. Math. Appl. 18, p. 341-349).
    """
    check_at_least("num_steps", num_steps, 1)
    _check_vector("start", start)
    if not start.norm() > 0:
        raise ValueError("start must not be the zero vector: draw it at random.")
    start, num_steps = start.detach(), min(num_steps, len(start))
    product = vector_function("product", product, "a vector like start")
    basis = start.new_zeros(num_steps, start.numel())
    basis[0] = start / start.norm()
    alphas: list[float] = []
    betas: list[float] = []
    for j in range(num_steps):
        r = product(basis[j])
        alphas.append(float(r @ basis[j]))
        if reorthogonalize:
            for _ in range(2):  # twice is enough: the first pass leaves rounding of the size of |r|
                r = r - basis[: j + 1].T @ (basis[: j + 1] @ r)
        else:
            r = r - alphas[j] * basis[j] - (betas[j - 1] * basis[j - 1] if j else 0.0)
        betas.append(float(r.norm()))
        if not math.isfinite(alphas[j] + betas[j]):
            raise ValueError(
                f"product {j + 1} of start is not finite: such an H has no eigenvalues. Where it is the Hessian of a "
                "loss, a weight of the model or an entry of x is too large; or start is."
            )
        # the Krylov space is exhausted: what is left is rounding
        if j == num_steps - 1 or betas[j] <= 10 * torch.finfo(r.dtype).eps * abs(alphas[0]):
            break
        basis[j + 1] = r / betas[j]
    return _krylov(alphas, betas, basis[: len(alphas)])


@checked
def lanczos_eigenvalues(
    product: Product, start: Tensor, *, num_eigenvalues: int = 1, num_steps: int = 20
) -> Tensor:
    r"""Return the largest eigenvalues of a symmetric operator, descending, by `lanczos` with reorthogonalization.

    Args:
        product: v [n] -> H v [n].
        start: any vector [n] that is not orthogonal to the eigenvectors wanted; a random one.
        num_eigenvalues: how many to return, <= num_steps.
        num_steps: products of H; 20 give the top few to 1e-5 where the spectrum has outliers.
    Raises: ValueError: if fewer steps than eigenvalues are asked for, and as of `lanczos`.
    """
    _check_vector("start", start)
    num_steps = min(num_steps, len(start))
    if not 1 <= num_eigenvalues <= num_steps:
        raise ValueError(
            f"num_eigenvalues must lie in [1, {num_steps}], got {num_eigenvalues}: there are as many as the smaller "
            "of num_steps and the length of start."
        )
    return lanczos(product, start, num_steps=num_steps).ritz_values[:num_eigenvalues]


def _check_vector(name: str, vector: Tensor) -> None:
    """Raise TypeError or ValueError unless a tensor is a vector of one or more floating-point numbers."""
    check_floating(**{name: vector})
    if vector.ndim != 1 or not len(vector):
        raise ValueError(
            f"{name} must be a vector [n] of one entry or more, got shape {tuple(vector.shape)}."
        )


def _krylov(alphas: list[float], betas: list[float], basis: Tensor) -> Krylov:
    """Diagonalize the tridiagonal matrix; the last beta leads out of the space and measures what is missing."""
    beside = torch.tensor(betas[:-1], dtype=torch.float64)
    tridiagonal = torch.diag(torch.tensor(alphas, dtype=torch.float64))
    tridiagonal += torch.diag(beside, 1) + torch.diag(beside, -1)
    values, coordinates = torch.linalg.eigh(tridiagonal)
    values, coordinates = values.flip(0), coordinates.flip(1)
    return Krylov(
        ritz_values=values,
        weights=coordinates[0].square(),
        residuals=betas[-1] * coordinates[-1].abs(),
        tridiagonal=tridiagonal,
        basis=basis,
        coordinates=coordinates,
    )
