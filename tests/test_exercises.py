"""A right answer passes; a wrong one is told which mistake it was."""

import numpy as np
import pytest
import torch

from course_utils._seals import seal
from course_utils.exercises import RIGHT, SEAL, WrongAnswer, check_answer, error_of

W = np.arange(6.0).reshape(2, 3) + 1


def test_right_answer_passes_for_arrays_tensors_and_numbers(capsys):
    check_answer(W, W)
    check_answer(torch.tensor(W, requires_grad=True), W)
    check_answer(0.1 + 0.2, 0.3)
    assert capsys.readouterr().out == "Right.\n" * 3


@pytest.mark.parametrize("nothing", [None, ...])
def test_unfilled_stub_fails_its_check(nothing):
    with pytest.raises(WrongAnswer, match="Nothing filled in yet"):
        check_answer(nothing, 1.0)


def test_known_mistake_is_named():
    mistakes = {"The sign is flipped.": -W, "That is the square.": W**2}
    with pytest.raises(WrongAnswer, match="The sign is flipped"):
        check_answer(-W, W, mistakes=mistakes)
    with pytest.raises(WrongAnswer, match="That is the square"):
        check_answer(W * W, W, mistakes=mistakes)


def test_wrong_shape_is_named_before_the_numbers():
    with pytest.raises(WrongAnswer, match=r"shape is \(3, 2\), it should be \(2, 3\)"):
        check_answer(W.T, W)


def test_constant_factor_is_named():
    with pytest.raises(WrongAnswer, match="off by a factor of 3 everywhere"):
        check_answer(3 * W, W)


@pytest.mark.parametrize("answer", [W + 1, np.full((2, 3), np.nan)])
def test_unknown_mistake_claims_nothing(answer):
    with pytest.raises(WrongAnswer, match=r"^Not yet\.$"):
        check_answer(answer, W)


def test_expected_zero_has_no_common_factor():
    with pytest.raises(WrongAnswer, match=r"^Not yet\.$"):
        check_answer(np.ones(3), np.zeros(3))


def test_name_of_an_error_is_returned_and_the_lack_of_one_as_well():
    assert error_of(lambda: 1 / 0) == "ZeroDivisionError"
    assert error_of(lambda: None) == "no error"


def test_a_rounded_answer_is_called_nearly_right():
    with pytest.raises(WrongAnswer, match=r"^Not yet\. Nearly: give more digits"):
        check_answer(0.7071, 2**-0.5)


# In the student edition


@pytest.fixture
def sealed(monkeypatch):
    """Return the seal that a check leaves in a notebook."""
    shown = []
    monkeypatch.setattr("course_utils.exercises.in_notebook", lambda: True)
    monkeypatch.setattr("course_utils.exercises.show", shown.append)
    check_answer(W, W, mistakes={"The sign is flipped.": -W})
    (right,) = shown
    assert repr(right) == "Right."
    assert right._repr_mimebundle_() == {"text/plain": "Right.", SEAL: right.sealed}
    return right.sealed


def test_a_sealed_check_knows_the_answer_and_the_mistakes(sealed, capsys):
    check_answer(W + 1e-7, sealed=sealed)
    assert capsys.readouterr().out == "Right.\n"
    with pytest.raises(WrongAnswer, match=r"^Not yet\. The sign is flipped\.$"):
        check_answer(-W, sealed=sealed)
    with pytest.raises(WrongAnswer, match=r"^Not yet\.$"):
        check_answer(W + 1, sealed=sealed)
    with pytest.raises(WrongAnswer, match=r"shape is \(3, 2\), it should be \(2, 3\)"):
        check_answer(W.T, sealed=sealed)


@pytest.mark.parametrize("nothing", [None, ..., [1.0, ...], [[..., 2.0]]])
def test_an_unfilled_answer_is_told_so_by_a_sealed_check(sealed, nothing):
    with pytest.raises(WrongAnswer, match="Nothing filled in yet"):
        check_answer(nothing, sealed=sealed)


def test_a_check_without_expected_value_and_seal_is_refused():
    with pytest.raises(ValueError, match=r"needs expected=\.\.\. or sealed=\.\.\., got neither"):
        check_answer(1.0)


@pytest.mark.parametrize("answer", [1.7e308, -1e308, 1e-320])
def test_numbers_at_the_edge_of_float64_open_no_seal_and_damage_none(answer):
    sealed = seal({RIGHT: np.ones(2)}, near="Nearly.", shape=(2,), rtol=1e-6, atol=1e-12)
    with pytest.raises(WrongAnswer, match=r"^Not yet\.$"):
        check_answer([answer, answer], sealed=sealed)
