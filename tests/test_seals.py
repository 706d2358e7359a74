"""A sealed text is opened by its own value, within the tolerance, and by nothing else."""

import json

import numpy as np
import pytest

from course_utils._seals import NEAR, seal, unseal

NEARLY = "Nearly."

TEXTS = {
    "Right.": [1.0, -2.0, 3.0],
    "The sign.": [-1.0, 2.0, -3.0],
    "Exchanged.": [-2.0, 1.0, 3.0],
    "Nothing.": [0.0] * 3,
}


def sealed(texts, rtol=1e-6):
    return seal(texts, near=NEARLY, shape=np.shape(next(iter(texts.values()))), rtol=rtol, atol=1e-12)


def test_every_value_opens_its_own_text():
    closed = sealed(TEXTS)
    assert {text: unseal(value, closed) for text, value in TEXTS.items()} == {
        text: (text, (3,)) for text in TEXTS
    }


def test_a_seal_in_one_line_is_the_same_seal():
    closed = sealed(TEXTS)
    assert unseal(TEXTS["The sign."], " ".join(closed.split())) == ("The sign.", (3,))


def test_no_text_and_no_value_can_be_read_in_a_seal():
    closed = sealed(TEXTS)
    assert not any(word in closed for word in ("Right", "sign", "Exchanged", "Nothing", "2.0", "3.0"))


@pytest.mark.parametrize("rtol", [1e-9, 1e-6, 1e-3])
def test_values_within_the_tolerance_open_and_values_beyond_twelve_times_it_do_not(rtol):
    rng = np.random.default_rng(0)
    for _ in range(60):
        value = rng.normal(size=rng.integers(1, 6)) * 10.0 ** rng.integers(-8, 9)
        closed = sealed({"Right.": value}, rtol)
        near = value * (1 + rtol * rng.uniform(-1, 1, size=value.shape))
        assert unseal(near, closed)[0] == "Right."
        far = value * (1 + 12.1 * rtol * rng.choice([-1, 1]))
        assert unseal(far, closed)[0] in (None, NEARLY)


def test_what_is_nearly_right_is_told_so_and_what_is_not_is_not():
    closed = sealed(TEXTS)
    right = np.array(TEXTS["Right."])
    assert unseal(right * (1 + NEAR), closed)[0] == unseal(np.round(right, 3) + 1e-4, closed)[0] == NEARLY
    assert unseal(right * (1 + 12.1 * NEAR), closed)[0] is None
    assert unseal(-right * (1 + NEAR), closed)[0] is None


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, [1.0, np.inf], [np.inf, 1.0], 1e-13, 0.0])
def test_infinities_nan_and_nothing_at_all_can_be_told_apart(value):
    others = {
        "a": 1.0,
        "b": np.inf,
        "c": -np.inf,
        "d": np.nan,
        "e": [1.0, np.inf],
        "f": [np.inf, 1.0],
        "g": 0.0,
    }
    text, _ = unseal(value, sealed(others))
    same = [
        name for name, other in others.items() if np.array_equal(np.round(value, 12), other, equal_nan=True)
    ]
    assert [text] == same


def test_shapes_are_part_of_the_value():
    closed = sealed({"Right.": [[1.0, 2.0]]})
    assert unseal([[1.0, 2.0]], closed) == ("Right.", (1, 2))
    assert unseal([1.0, 2.0], closed) == (None, (1, 2))


def test_equal_answers_of_two_exercises_look_different():
    first, second = (
        sealed({"Right.": 8.0, hint: 4.0}).splitlines()[1] for hint in ("Twice that.", "Half of it.")
    )
    assert first != second


def test_one_value_for_two_texts_is_refused():
    with pytest.raises(ValueError, match=r"The value of 'Same\.' opens another text as well"):
        sealed({"Right.": 2.0, "Same.": 2.0 + 1e-9})


@pytest.mark.parametrize("text", ["", "rubbish", "{}", '{"shape": [], "rtol": 1e-6}', "[1]\nab"])
def test_a_damaged_seal_says_so(text):
    with pytest.raises(ValueError, match="damaged: restore the cell"):
        unseal(1.0, text)


def test_a_seal_with_one_changed_letter_opens_no_wrong_text():
    closed = sealed({"Right.": 2.0})
    head, line, _ = closed.splitlines()
    broken = "\n".join([head, ("A" if line[0] != "A" else "B") + line[1:]])
    assert json.loads(head)["shape"] == []
    assert unseal(2.0, broken) == (None, ())
