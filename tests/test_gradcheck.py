"""A difference quotient is as exact as its derivation says, and the report says where two gradients differ."""

import math

import numpy as np
import pytest
import torch

from course_utils.gradcheck import compare_gradients, default_step, numerical_gradient, relative_error

A = np.array([[2.0, -1.0, 0.5], [0.3, 4.0, -0.7]])  # 2 x 3: a transposed gradient would not fit


def cubic(x):
    return (A * x**3).sum()


def test_gradient_of_a_cubic_is_exact_to_the_derived_accuracy():
    x = np.array([[0.5, -1.5, 2.0], [3.0, -0.2, 1.1]])
    exact = 3 * A * x**2
    # eps^(2/3) times the size of f, about 110 here, and a factor 4 for the constants that the derivation leaves out
    np.testing.assert_allclose(numerical_gradient(cubic, x), exact, rtol=0, atol=4 * 110 * 3.7e-11)


def test_error_falls_with_the_square_of_the_step():
    def error(step):
        return abs(numerical_gradient(np.tanh, np.array(0.7), step=step) - (1 - math.tanh(0.7) ** 2))

    assert math.log10(error(1e-2) / error(1e-3)) == pytest.approx(2.0, abs=0.01)


def test_rounding_error_grows_as_the_step_shrinks_below_the_derived_one():
    def error(step):
        points = np.linspace(0.3, 1.3, 50)
        return np.mean(np.abs(numerical_gradient(lambda x: np.tanh(x).sum(), points, step=step)
                              - (1 - np.tanh(points) ** 2)))  # fmt: skip

    # eps / h: two decades smaller in h cost two decades in error; 0.3 covers the scatter of 50 rounding errors
    assert math.log10(error(1e-11) / error(1e-9)) == pytest.approx(2.0, abs=0.3)


def test_default_step_scales_with_the_entry():
    np.testing.assert_allclose(default_step(np.array([0.0, -0.5, 1e6])) / 6.0554544523933395e-06, [1, 1, 1e6])


def test_large_arguments_keep_their_accuracy():
    gradient = numerical_gradient(lambda x: np.square(x).sum(), np.array([1e8]))
    assert gradient[0] == pytest.approx(2e8, rel=1e-9)


def test_step_that_rounding_changes_does_not_spoil_a_linear_function():
    # 1e8 + 3e-8 is rounded to a neighbouring number; dividing by 2h instead of the distance is 0.7 % off here.
    assert numerical_gradient(lambda x: 2.0 * x[0], np.array([1e8]), step=3e-8) == pytest.approx(
        2.0, rel=1e-12
    )


def test_torch_tensor_gives_a_torch_gradient_equal_to_autograd():
    x = torch.tensor([0.4, -1.2, 2.2], dtype=torch.float64, requires_grad=True)
    f = lambda x: (x.sin() * x.square()).sum()  # noqa: E731
    f(x).backward()
    gradient = numerical_gradient(f, x)
    assert isinstance(gradient, torch.Tensor)
    assert not gradient.requires_grad
    torch.testing.assert_close(gradient, x.grad, rtol=1e-9, atol=1e-9)


def test_input_is_left_alone_even_by_a_function_that_overwrites_its_argument():
    def vandal(x):
        value = float(np.square(x).sum())
        x[:] = -99.0
        return value

    x = np.array([1.0, 2.0])
    gradient = numerical_gradient(vandal, x)
    np.testing.assert_array_equal(x, [1.0, 2.0])
    np.testing.assert_allclose(gradient, [2.0, 4.0], rtol=1e-9)


@pytest.mark.parametrize("x", [np.ones(2, dtype=np.float32), torch.ones(2)], ids=["numpy", "torch"])
def test_single_precision_is_refused(x):
    with pytest.raises(ValueError, match="x must be float64, got float32"):
        numerical_gradient(lambda x: x.sum(), x)


def test_function_of_several_outputs_is_refused():
    with pytest.raises(ValueError, match=r"f must return one number, got an array of shape \(3,\)"):
        numerical_gradient(lambda x: 2 * x, np.ones(3))


def test_infinite_value_is_refused():
    with pytest.raises(ValueError, match="f returned inf near x"):
        numerical_gradient(lambda x: math.inf, np.ones(1))


def test_step_of_zero_is_refused():
    with pytest.raises(ValueError, match="step must be a finite number > 0"):
        numerical_gradient(np.sum, np.ones(2), step=0.0)


def test_relative_error_of_zeros_is_zero_and_of_opposite_signs_is_two():
    np.testing.assert_array_equal(
        relative_error(np.array([0.0, 1.0, 0.0]), np.array([0.0, -1.0, 5.0])), [0, 2, 1]
    )


def test_report_names_the_entry_that_is_wrong_and_both_values():
    good = {"W": np.arange(1.0, 7.0).reshape(2, 3), "b": np.array([0.5, -0.25])}
    bad = {"W": good["W"].copy(), "b": good["b"]}
    bad["W"][1, 0] = 4.5
    report = compare_gradients(bad, good)
    row = report.rows[0]
    assert (row.name, row.index, row.value, row.reference) == ("W", (1, 0), 4.5, 4.0)
    assert (row.max_abs_error, row.max_rel_error) == (0.5, 0.5 / 4.5)
    assert (report.rows[1].max_abs_error, report.max_abs_error, report.max_rel_error) == (0.0, 0.5, 0.5 / 4.5)
    header, first, _ = str(report).splitlines()
    assert header.split("  ")[0] == "name"
    assert first.split() == ["W", "5.0e-01", "1.1e-01", "[1,", "0]", "4.5", "4"]


def test_gradient_that_is_not_a_number_does_not_pass_as_small():
    report = compare_gradients(np.array([1.0, math.nan]), np.array([1.0, 2.0]))
    assert math.isnan(report.max_abs_error)
    assert report.rows[0].index == (1,)


def test_single_arrays_and_scalars_can_be_compared():
    report = compare_gradients(torch.tensor(2.0, dtype=torch.float64), np.array(2.5))
    assert (report.rows[0].name, report.rows[0].index, report.max_abs_error) == ("gradient", (), 0.5)


def test_transposed_gradient_is_told_to_be_one():
    with pytest.raises(
        ValueError, match=r"gradient of W has shape \(3, 2\), its reference \(2, 3\).*transpose"
    ):
        compare_gradients({"W": A.T}, {"W": A})


def test_missing_parameter_is_refused():
    with pytest.raises(ValueError, match=r"same names, got gradients \['W'\] and reference \['W', 'b'\]"):
        compare_gradients({"W": A}, {"W": A, "b": A})


def test_empty_parameter_is_refused():
    with pytest.raises(ValueError, match=r"W has no entries: shape \(0, 3\)"):
        compare_gradients({"W": np.ones((0, 3))}, {"W": np.ones((0, 3))})
