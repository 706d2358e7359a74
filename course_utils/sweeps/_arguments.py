"""What may networks side by side be given? The checks of `train_replicates`, before its first step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils._checks import check_floating, check_labels, check_positive, check_probability, check_shape


def check_rates(dtype: torch.dtype, lr: float, momentum: float, weight_decay: float) -> None:
    """Raise ValueError unless the numbers are in range, as numbers of the dtype that they multiply."""
    for name, value in {"lr": lr, "weight_decay": weight_decay}.items():
        check_positive(name, value, strict=False)
        if dtype.is_floating_point and value > torch.finfo(dtype).max:
            raise ValueError(f"{name} must be a number of {dtype}, as x is, got {name}={value!r}.")
    check_probability("momentum", momentum, below_one=True)


def check_data(name: str, data: tuple[Tensor, Tensor], widths: Sequence[int], dtype: torch.dtype) -> None:
    """Raise ValueError or TypeError unless `data` are x [N, widths[0]] of this dtype, and N classes of the outputs."""
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths needs two or more positive sizes, input first, got {tuple(widths)}.")
    x, y = data
    check_floating(**{f"x of {name}": x})
    if x.dtype != dtype:
        raise ValueError(f"x of {name} must have the dtype of x of data, {dtype}, got {x.dtype}.")
    check_shape(f"x of {name}", x.shape, (None, widths[0]))
    check_shape(f"y of {name}", y.shape, (len(x),))
    check_labels(f"y of {name}", y, widths[-1])
