"""Each check refuses with the rule, the value and the way out, and lets good values pass."""

import math

import numpy as np
import pytest
import torch

from course_utils._checks import (
    check_all_finite,
    check_at_least,
    check_choice,
    check_fillable,
    check_finite,
    check_floating,
    check_labels,
    check_positive,
    check_probability,
    check_same_shape,
    check_shape,
    naming,
)
from course_utils.devices import resolve_device


@pytest.mark.parametrize("value", [0, -1e-9, math.nan, math.inf])
def test_positive_refuses_zero_negative_and_non_finite(value):
    with pytest.raises(ValueError, match=r"lr must be a finite number > 0, got lr="):
        check_positive("lr", value)


def test_positive_takes_zero_where_it_is_not_strict():
    check_positive("momentum", 0, strict=False)
    with pytest.raises(ValueError, match=">= 0, got momentum=-1"):
        check_positive("momentum", -1, strict=False)


def test_probability_refuses_one_only_where_a_division_by_one_minus_it_follows():
    check_probability("p", 1.0)
    with pytest.raises(ValueError, match=r"beta1 needs 0 <= beta1 < 1, got beta1=1.0"):
        check_probability("beta1", 1.0, below_one=True)
    with pytest.raises(ValueError, match=r"p needs 0 <= p <= 1, got p=1.5"):
        check_probability("p", 1.5)


def test_choice_lists_what_is_known():
    check_choice("activation", "relu", {"tanh", "relu"})
    with pytest.raises(ValueError, match="Unknown activation 'swish'; known: relu, tanh"):
        check_choice("activation", "swish", {"tanh", "relu"})


def test_shape_takes_any_size_where_none_stands():
    check_shape("x", (7, 3), (None, 3))
    with pytest.raises(ValueError, match=r"x needs shape \(any, 3\), got \(7, 4\)"):
        check_shape("x", (7, 4), (None, 3))
    with pytest.raises(ValueError, match=r"x needs shape \(any, 3\), got \(3,\)"):
        check_shape("x", (3,), (None, 3))


def test_at_least_takes_the_bound_itself_and_refuses_nan():
    check_at_least("n", 1, 1)
    for value in (0, math.nan):
        with pytest.raises(ValueError, match="n must be at least 1, got n="):
            check_at_least("n", value, 1)


def test_finite_takes_numbers_of_numpy_and_refuses_what_is_no_number():
    check_finite("x", np.float32(2))
    for value in (math.inf, math.nan, None, "seven", 1j, [1.0]):
        with pytest.raises(ValueError, match="x must be a finite number, got "):
            check_finite("x", value)


def test_finite_numbers_must_also_have_a_finite_sum():
    check_all_finite("values", [])
    check_all_finite("values", [1e307, -1.0])
    with pytest.raises(ValueError, match="values must be finite numbers, got nan"):
        check_all_finite("values", [1.0, math.nan])
    with pytest.raises(ValueError, match="so small that the sum is a number, got -1e"):
        check_all_finite("values", [-1e308, 1.0])


def test_floating_refuses_whole_and_complex_numbers_with_the_way_out():
    check_floating(x=torch.ones(2), y=torch.ones(2).bfloat16())
    for wrong in (torch.tensor([1]), torch.tensor([1j]), torch.tensor([True])):
        with pytest.raises(TypeError, match=r"y needs real numbers, got y of dtype .*: use y\.float\(\)"):
            check_floating(x=torch.ones(2), y=wrong)


def test_the_same_shape_names_all_and_their_shapes():
    check_same_shape(a=np.ones(2), b=torch.ones(2))
    with pytest.raises(ValueError, match=r"a and b need the same shape, got \(2,\) and \(1, 2\)"):
        check_same_shape(a=np.ones(2), b=np.ones((1, 2)))


def test_fillable_refuses_entries_that_share_memory():
    check_fillable("weight", torch.ones(1, 3).expand(1, 3))
    with pytest.raises(ValueError, match=r"share memory. Use weight\.clone\(\)"):
        check_fillable("weight", torch.ones(1, 3).expand(2, 3))
    with pytest.raises(TypeError, match="weight needs real numbers"):
        check_fillable("weight", torch.tensor([1]))


def test_labels_are_whole_and_in_range():
    check_labels("labels", torch.tensor([0, 2]), 3)
    check_labels("labels", torch.tensor([], dtype=torch.int64), 3)
    with pytest.raises(ValueError, match="labels must lie in 0 to 2 for 3 classes, got -1 to 3"):
        check_labels("labels", torch.tensor([-1, 3]), 3)
    with pytest.raises(
        TypeError, match=r"labels are class numbers, int64, got torch.float32: use labels\.long"
    ):
        check_labels("labels", torch.tensor([0.0]), 3)


def test_an_error_from_inside_is_named_and_kept_as_the_cause():
    with (
        pytest.raises(ValueError, match="x does not fit: RuntimeError: ") as refused,
        naming("x does not fit"),
    ):
        torch.ones(2) + torch.ones(3)
    assert isinstance(refused.value.__cause__, RuntimeError)
    with pytest.raises(KeyboardInterrupt), naming("x does not fit"):
        raise KeyboardInterrupt


def test_device_auto_is_one_that_this_machine_has():
    assert torch.ones(2, device=resolve_device("auto")).sum() == 2
    assert resolve_device("cpu") == torch.device("cpu")


def test_device_unknown_and_absent_are_told_apart(monkeypatch):
    with pytest.raises(ValueError, match="Unknown device 'gpu'"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no device 'cuda:1'; use device='cpu'"):
        resolve_device("cuda:1")
