"""Runs published in the format of source S0 are read as ours, and what does not fit is named."""

import json

import pytest
import torch
from torch import nn

from course_utils.seeding import make_generator
from course_utils.training.published import load_published

CONFIG = {"act_fn": "Tanh", "input_size": 6, "num_classes": 3, "hidden_sizes": [5, 4]}
RESULTS = {
    "test_acc": 0.89,
    "val_scores": [0.5, 0.8],
    "train_scores": [0.4, 0.7],
    "train_losses": [2.0, 1.5, 1.2],
}


@pytest.fixture
def theirs():
    """The network as S0 builds it: activations stand between the linear layers, so these are 0, 2 and 4."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)]
    return nn.ModuleDict({"layers": nn.Sequential(*layers)})


@pytest.fixture
def folder(theirs, tmp_path):
    (tmp_path / "run.config").write_text(json.dumps(CONFIG))
    (tmp_path / "run_results.json").write_text(json.dumps(RESULTS))
    torch.save(theirs.state_dict(), tmp_path / "run.tar")
    return tmp_path


def test_network_is_theirs_and_records_are_kept(theirs, folder, generator):
    run = load_published(folder, "run")
    x = torch.randn(7, 6, generator=generator)
    torch.testing.assert_close(run.model(x), theirs["layers"](x), rtol=0, atol=0)
    assert (run.test_accuracy, run.val_accuracies, run.step_losses) == (0.89, (0.5, 0.8), (2.0, 1.5, 1.2))
    assert not run.model.training


def test_loading_draws_from_no_global_stream(folder):
    before = torch.random.get_rng_state()
    load_published(folder, "run")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_missing_files_are_listed(folder):
    (folder / "run.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing: run\.tar\."):
        load_published(folder, "run")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "run.config",
            CONFIG | {"act_fn": "Softplus"},
            "one of ReLU, Tanh, Identity, Sigmoid; got 'Softplus'",
        ),
        ("run.config", {"act_fn": "Tanh"}, "got 'input_size'"),
        ("run.config", CONFIG | {"hidden_sizes": [5, 7]}, "run.tar does not fit run.config"),
        ("run_results.json", {"test_acc": 0.5}, "'val_scores' is missing"),
        ("run_results.json", [1, 2], "needs one JSON object"),
    ],
)
def test_file_that_does_not_fit_is_named(folder, file, content, message):
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_published(folder, "run")


def test_objects_are_not_unpickled(folder):
    torch.save({"layers.0.weight": make_generator}, folder / "run.tar")
    with pytest.raises(ValueError, match=r"run\.tar needs a state_dict of tensors and nothing else"):
        load_published(folder, "run")
