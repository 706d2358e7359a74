"""What is true of data, evaluations and logs whatever they are given? Properties that no example states."""

import math
import struct
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.datasets import Dataset, Split
from course_utils.datasets.readers import read_idx
from course_utils.datasets.records import mean_and_std
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import EpochRecord, History, evaluate, logs
from course_utils.training.forms import give_tensors, take_tensors
from course_utils.training.schedules import warmup_then_linear

SEEDS = st.integers(0, 2**31)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def stated(what, **strategies):
    """Return a decorator that makes a test of a property: tried on many examples, whose number is noted."""

    def decorate(check):
        def test(tally):
            number = tally.number(each_time=30, weekly=1_000)
            chosen = settings(max_examples=number, deadline=None, derandomize=True, database=None)
            chosen(given(**strategies)(check))()
            tally.note("properties", what, tried=number)

        return test

    return decorate


def images(seed, n, channels):
    """Return n images of 2 by 3 pixels, no channel of which is the same everywhere."""
    pixels = torch.randint(256, (n, channels, 2, 3), generator=make_generator(seed), dtype=torch.uint8)
    pixels[0, :, 0, 0], pixels[0, :, 0, 1] = 0, 255
    return pixels


def examples(seed, n):
    generator = make_generator(seed)
    return torch.randn(n, 3, generator=generator), torch.randint(4, (n,), generator=generator)


@stated("evaluation in batches of any size", seed=SEEDS, n=st.integers(2, 12), batch_size=st.integers(1, 12))
def test_an_evaluation_does_not_depend_on_the_size_of_its_batches(seed, n, batch_size):
    model, data = MLP((3, 5, 4), generator=make_generator(seed)), examples(seed, n)
    whole, parts = evaluate(model, data, n), evaluate(model, data, batch_size)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    assert parts.accuracy == whole.accuracy


@stated("evaluation of a set and of it twice", seed=SEEDS, n=st.integers(2, 12))
def test_the_accuracy_of_a_set_and_of_the_set_twice_are_the_same(seed, n):
    model, (x, y) = MLP((3, 5, 4), generator=make_generator(seed)), examples(seed, n)
    once, twice = evaluate(model, (x, y)), evaluate(model, (torch.cat([x, x]), torch.cat([y, y])))
    assert (twice.accuracy, twice.loss) == (once.accuracy, pytest.approx(once.loss, rel=1e-5))


@stated("warm-up of the learning rate", total=st.integers(1, 300), warmup=st.floats(0, 0.999))
def test_a_warmup_is_a_share_that_rises_once_and_then_falls_to_zero(total, warmup):
    share = warmup_then_linear(total, warmup)
    shares = [share(step) for step in range(total + 2)]
    peak = shares.index(max(shares))
    assert all(0 < s <= 1 for s in shares[:total])
    assert shares[total:] == [0, 0]
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:])[::-1]
    assert peak <= max(1.0, warmup * total)


@stated("scaled images", seed=SEEDS, n=st.integers(2, 9), channels=st.integers(1, 3))
def test_scaled_training_images_have_mean_zero_and_deviation_one_in_each_channel(seed, n, channels):
    split = Split(images(seed, n, channels), torch.zeros(n, dtype=torch.int64))
    x, _ = Dataset("noise", split, split, split, ("a",)).tensors("train", dtype=torch.float64)
    x = x.view(n, channels, -1)
    assert torch.allclose(x.mean((0, 2)), torch.zeros(channels).double(), atol=1e-12)
    assert torch.allclose(x.std((0, 2), correction=0), torch.ones(channels).double(), atol=1e-12)


@stated("moments of pixels", seed=SEEDS, n=st.integers(2, 9), channels=st.integers(1, 3))
def test_moments_are_those_of_the_pixels_and_do_not_depend_on_their_order(seed, n, channels):
    pixels = images(seed, n, channels)
    means, stds = mean_and_std(pixels)
    scaled = pixels.double() / 255
    assert means == pytest.approx(scaled.mean((0, 2, 3)).tolist())
    assert stds == pytest.approx(scaled.std((0, 2, 3), correction=0).tolist())
    assert mean_and_std(pixels.flip(0)) == (means, stds)


@stated("idx files of any shape", shape=st.lists(st.integers(0, 5), max_size=3), seed=SEEDS)
def test_an_idx_file_of_any_shape_is_read_as_it_was_written(shape, seed):
    values = torch.randint(256, shape, generator=make_generator(seed), dtype=torch.uint8).numpy()
    head = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    read = read_idx(head + values.tobytes())
    assert read.shape == tuple(shape)
    assert read.tobytes() == values.tobytes()


@stated(
    "runs written and read back",
    numbers=st.lists(st.tuples(FLOATS, FLOATS, FLOATS), max_size=4),
    losses=st.lists(FLOATS, max_size=5),
)
def test_any_run_comes_back_from_csv_and_json_to_the_last_digit(numbers, losses):
    epochs = [EpochRecord(i, a, b, math.nan, b, c) for i, (a, b, c) in enumerate(numbers)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        logs.write_csv(History(losses, epochs), path)
        rows = logs.read_csv(path)
        logs.write_json(History(losses, epochs), path)
        run = logs.read_json(path)
    assert repr(rows) == repr(run.epochs) == repr(epochs)  # NaN is not equal to itself, its name is
    assert repr(run.step_losses) == repr(losses)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=3),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.tuples(parts, parts)
        | st.dictionaries(st.text(max_size=3) | st.integers(), parts, max_size=3)
    ),
    max_leaves=8,
)


@stated("states of optimizers", tree=TREES)
def test_any_state_of_an_optimizer_comes_back_from_what_a_checkpoint_holds(tree):
    tensors, state = {}, {"state": {0: {"buf": torch.ones(2), "rest": tree}}}
    again = give_tensors(take_tensors(state, "optimizer", tensors), tensors)
    assert list(tensors) == ["optimizer.state.0.buf"]
    assert repr(again) == repr(state)
