"""Each check refuses with the rule, the value and the way out, and lets good values pass."""

import math

import pytest

from course_utils._checks import check_choice, check_positive, check_probability, check_shape
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


def test_device_auto_is_one_that_this_machine_has():
    import torch

    assert torch.ones(2, device=resolve_device("auto")).sum() == 2
    assert resolve_device("cpu") == torch.device("cpu")


def test_device_unknown_and_absent_are_told_apart(monkeypatch):
    import torch

    with pytest.raises(ValueError, match="Unknown device 'gpu'"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no device 'cuda:1'; use device='cpu'"):
        resolve_device("cuda:1")
