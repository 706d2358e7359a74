"""How does the loss bend? Products with the Hessian, its eigenvalues, density and trace, without ever forming it.

Unusual here: everything but `exact_hessian` sees the Hessian only through a function v -> H v, so that the same Lanczos
steps serve a network, a matrix and a test. Nothing writes into a model, and everything random takes a generator.
"""

from course_utils.curvature.lanczos import Krylov, lanczos, lanczos_eigenvalues
from course_utils.curvature.networks import flat_loss, sharpness, top_eigenvalues
from course_utils.curvature.products import (
    Product,
    central_difference,
    double_backward,
    exact_hessian,
    forward_over_reverse,
    hessian_vector_product,
)
from course_utils.curvature.spectra import Quadrature, spectral_density, stochastic_lanczos
from course_utils.curvature.traces import hutch_plus_plus, hutchinson

__all__ = [
    "Krylov",
    "Product",
    "Quadrature",
    "central_difference",
    "double_backward",
    "exact_hessian",
    "flat_loss",
    "forward_over_reverse",
    "hessian_vector_product",
    "hutch_plus_plus",
    "hutchinson",
    "lanczos",
    "lanczos_eigenvalues",
    "sharpness",
    "spectral_density",
    "stochastic_lanczos",
    "top_eigenvalues",
]
