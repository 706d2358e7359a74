"""The same seed gives the same numbers, different seeds do not, and nothing global moves."""

import pytest
import torch

from course_utils.seeding import fork_seeds, make_generator


def test_same_seed_gives_the_same_stream():
    assert torch.equal(
        torch.randn(5, generator=make_generator(3)), torch.randn(5, generator=make_generator(3))
    )


def test_generator_leaves_the_global_stream_alone():
    before = torch.random.get_rng_state()
    torch.randn(5, generator=make_generator(3))
    fork_seeds(3, 4)
    assert torch.equal(before, torch.random.get_rng_state())


def test_forked_seeds_are_distinct_and_disjoint_between_parents():
    children = [set(fork_seeds(seed, 50)) for seed in (0, 1, 2)]
    assert [len(c) for c in children] == [50, 50, 50]
    assert not children[0] & children[1]
    assert not children[1] & children[2]


def test_forking_more_keeps_the_first_seeds():
    assert fork_seeds(7, 10)[:4] == fork_seeds(7, 4)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=r"seed must lie in \[0, 2\*\*63\)"):
        make_generator(seed)


@pytest.mark.parametrize("seed", [1.0, "1", True])
def test_seed_of_another_type_is_refused(seed):
    with pytest.raises(TypeError, match="seed must be a whole number"):
        make_generator(seed)


def test_forking_nothing_is_refused():
    with pytest.raises(ValueError, match="n must be at least 1"):
        fork_seeds(0, 0)
