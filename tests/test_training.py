"""Does the loop do what its equations say, and does a resumed run equal an uninterrupted one bit for bit?"""

import itertools
import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler

import course_utils.training.loop as loop
from course_utils import optimizers
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import (
    CheckpointError,
    Diverged,
    EpochRecord,
    History,
    evaluate,
    has_fast_bfloat16,
    train,
)

N, FEATURES, CLASSES = 50, 6, 3  # batches of 16: 16, 16, 16 and 2


def make_data(n=N, seed=0):
    """Return points of three overlapping classes: learnable, never perfectly."""
    generator = make_generator(seed)
    y = torch.randint(0, CLASSES, (n,), generator=generator)
    centres = torch.randn(CLASSES, FEATURES, generator=make_generator(99))
    return centres[y] + torch.randn(n, FEATURES, generator=generator), y


def make_model(seed=1, dropout=0.0):
    model = MLP((FEATURES, 8, CLASSES), generator=make_generator(seed))
    return nn.Sequential(model, nn.Dropout(dropout)) if dropout else model


def run(model=None, optimizer=None, *, seed=2, **options):
    """Train a small network with SGD for two epochs unless told otherwise; return (model, history)."""
    model = make_model() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if optimizer is None else optimizer
    options = {"num_epochs": 2, "batch_size": 16, "generator": make_generator(seed), **options}
    return model, train(model, make_data(), optimizer, **options)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# What a step is


def test_training_is_gradient_descent_on_shuffled_batches_written_out():
    model, history = run()
    x, y = make_data()
    twin, generator, losses = make_model(), make_generator(2), []
    for _ in range(2):
        order = torch.randperm(N, generator=generator)
        for start in range(0, N, 16):
            index = order[start : start + 16]
            loss = F.cross_entropy(twin(x[index]), y[index])
            grads = torch.autograd.grad(loss, list(twin.parameters()))
            with torch.no_grad():
                for p, grad in zip(twin.parameters(), grads, strict=True):
                    p.add_(grad, alpha=-0.1)  # one rounding, as torch's SGD has it
            losses.append(loss.item())
    assert history.step_losses == losses
    assert torch.equal(weights(model), weights(twin))


def test_every_example_is_seen_once_an_epoch():
    x = torch.arange(N, dtype=torch.float32)[:, None]
    seen = []

    def loss(output, y):
        seen.append(y.flatten().tolist())
        return (output - y).square().mean()

    model = nn.Linear(1, 1)
    train(model, (x, x), torch.optim.SGD(model.parameters(), lr=0.0), num_epochs=2, batch_size=16,
          generator=make_generator(0), loss=loss)  # fmt: skip
    epochs = [list(itertools.chain(*seen[:4])), list(itertools.chain(*seen[4:]))]
    assert [sorted(epoch) for epoch in epochs] == [x.flatten().tolist()] * 2
    assert epochs[0] != epochs[1]
    assert [len(batch) for batch in seen[:4]] == [16, 16, 16, 2]


def test_training_loss_and_accuracy_are_means_over_examples_not_over_batches():
    model = make_model()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    _, history = run(model, frozen, num_epochs=1, validation=make_data())
    whole = evaluate(model, make_data())
    assert history.epochs[0].train_loss == pytest.approx(whole.loss, rel=1e-6)
    assert history.epochs[0].train_accuracy == whole.accuracy
    assert history.epochs[0].val_loss == whole.loss
    assert history.epochs[0].val_accuracy == whole.accuracy


def test_the_global_stream_is_left_alone_and_the_given_one_decides():
    before = torch.random.get_rng_state()
    (_, first), (_, second), (_, other) = run(), run(), run(seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.step_losses == second.step_losses
    assert first.step_losses != other.step_losses


def test_data_are_left_alone():
    x, y = make_data()
    model = make_model()
    train(model, (x, y), torch.optim.SGD(model.parameters(), lr=0.1), num_epochs=1, batch_size=16,
          generator=make_generator(0))  # fmt: skip
    assert torch.equal(x, make_data()[0])
    assert torch.equal(y, make_data()[1])


def test_on_step_sees_every_update_once_with_its_number_and_gradient():
    seen, norms = [], []

    def on_step(step, model):
        seen.append(step)
        norms.append(model.layers[0].weight.grad.norm().item())

    _, history = run(on_step=on_step)
    assert seen == list(range(8)) == list(range(len(history.step_losses)))
    assert min(norms) > 0


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = make_model(dropout=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, history = run(model, torch.optim.SGD(model.parameters(), lr=0.0), validation=make_data())
    assert history.epochs[0].val_loss == history.epochs[1].val_loss
    assert history.epochs[0].train_loss != history.epochs[1].train_loss
    assert model.training


# Evaluation


def test_evaluation_does_not_depend_on_the_batch_size():
    model = make_model().double()
    x, y = make_data()
    whole = evaluate(model, (x.double(), y))
    for batch_size in (1, 7, 50):
        split = evaluate(model, (x.double(), y), batch_size)
        assert split.loss == pytest.approx(whole.loss, rel=1e-12)
        assert split.accuracy == whole.accuracy
    assert whole.loss == pytest.approx(F.cross_entropy(model(x.double()), y).item(), rel=1e-12)
    assert whole.accuracy == (model(x.double()).argmax(1) == y).double().mean().item()


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_mode_and_gradients_as_they_were_even_after_an_error(training):
    model = make_model().train(training)
    evaluate(model, make_data())
    with pytest.raises((RuntimeError, ValueError), match="shape"):
        evaluate(model, (torch.ones(4, 5), torch.ones(4, dtype=torch.int64)))
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())


def test_accuracy_is_nan_where_there_are_no_classes():
    model = nn.Linear(1, 1)
    x = torch.linspace(-1, 1, 30)[:, None]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    history = train(model, (x, 2 * x + 1), optimizer, num_epochs=60, batch_size=8, generator=make_generator(0),
                    loss=F.mse_loss, validation=(x, 2 * x + 1))  # fmt: skip
    assert math.isnan(history.epochs[-1].val_accuracy)
    assert math.isnan(history.epochs[-1].train_accuracy)
    assert history.epochs[-1].val_loss < 1e-6
    assert history.best.val_loss == min(record.val_loss for record in history.epochs)


# The best epoch


def record(epoch, val_loss, val_accuracy):
    return EpochRecord(epoch, 1.0, 0.5, val_loss, val_accuracy, 0.1)


def test_best_is_the_earliest_epoch_of_highest_validation_accuracy():
    history = History(epochs=[record(0, 0.9, 0.7), record(1, 0.8, 0.8), record(2, 0.5, 0.8)])
    assert history.best.epoch == 1


def test_best_without_validation_is_the_last_epoch_and_needs_one():
    history = History(epochs=[record(0, math.nan, math.nan), record(1, math.nan, math.nan)])
    assert history.best.epoch == 1
    with pytest.raises(ValueError, match="No epoch has been finished"):
        _ = History().best


def test_best_weights_are_those_that_validated_best_and_not_the_last():
    model, history = run(num_epochs=12, validation=make_data(30, seed=5))
    assert history.best.epoch < 11  # else this test says nothing
    twin = make_model()
    twin.load_state_dict(history.best_weights)
    assert evaluate(twin, make_data(30, seed=5)).accuracy == history.best.val_accuracy
    assert not torch.equal(weights(twin), weights(model))


# Schedulers


def test_a_scheduler_acts_each_epoch_or_each_step():
    expected = {"epoch": [0.1, 0.05, 0.025], "step": [0.1, 0.1 / 2**4, 0.1 / 2**8]}
    for schedule_each, lrs in expected.items():
        model = make_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
        _, history = run(model, optimizer, num_epochs=3, scheduler=scheduler, schedule_each=schedule_each)
        assert [e.lr for e in history.epochs] == pytest.approx(lrs)


def test_plateau_watches_the_validation_loss():
    model = make_model()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0
    )  # the loss never falls: a plateau from the first epoch
    optimizer.param_groups[0]["lr"] = 1e-20
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, eps=0.0)
    _, history = run(model, optimizer, num_epochs=6, scheduler=scheduler, validation=make_data(30, seed=5))
    assert [e.lr / 1e-20 for e in history.epochs] == pytest.approx([1, 1, 1, 0.5, 0.5, 0.25])


# Divergence


def test_a_loss_that_is_not_finite_is_named_with_its_step_and_a_way_out():
    def loss(output, y, calls=[]):  # noqa: B006 (counts its calls)
        calls.append(1)
        return F.cross_entropy(output, y) * (math.inf if len(calls) == 6 else 1.0)

    with pytest.raises(Diverged, match=r"became inf at step 5 \(epoch 1, lr=0\.1\); .*the loss itself"):
        run(loss=loss)


def test_a_diverged_run_can_be_kept():
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    _, history = run(model, optimizer, num_epochs=5, on_divergence="stop")
    assert history.diverged
    assert len(history.epochs) < 5
    assert not math.isfinite(history.step_losses[-1])


# Resuming


OPTIMIZERS = {
    "torch SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "torch Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "torch fused Adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "torch AdamW, amsgrad": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "torch RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True),
    "SGD": lambda p: optimizers.SGD(p, lr=0.1),
    "Momentum": lambda p: optimizers.Momentum(p, lr=0.1),
    "AdaGrad": lambda p: optimizers.AdaGrad(p, lr=0.1),
    "Adam": lambda p: optimizers.Adam(p, lr=0.01),
    "AdamW": lambda p: optimizers.AdamW(p, lr=0.01),
}
SCHEDULERS = {
    "none": (lambda o: None, "epoch"),
    "cosine, each step": (lambda o: lr_scheduler.CosineAnnealingLR(o, 16), "step"),
    "one cycle": (lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=20), "step"),
    "plateau": (lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0), "epoch"),
    "warm-up, then decay": (
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.1, total_iters=2), lr_scheduler.StepLR(o, 1)], milestones=[2]
        ),
        "epoch",
    ),
}


def full_state(model, optimizer, scheduler, generator, history):
    """Return everything a run is made of, as a list of texts and a list of tensors."""
    tensors = [history.best_weights[name] for name in model.state_dict()]
    tensors += [*model.state_dict().values(), generator.get_state(), torch.random.get_rng_state()]
    rest = []
    for part in (optimizer, scheduler):
        if part is not None:
            flat = json.dumps(part.state_dict(), default=lambda t: tensors.append(t) or "tensor")
            rest.append(flat)
    return [repr(history.step_losses), repr(history.epochs), *rest], tensors


def interrupted(path, make_optimizer, make_scheduler, schedule_each, stops, dropout=0.0):
    """Train for 4 epochs in new objects after every stop, continuing from the file; return the full state."""
    torch.manual_seed(0)
    for num_epochs in stops:
        if num_epochs != stops[0]:
            torch.rand(17)  # a new process would not be where the old one was
        model = make_model(seed=num_epochs if num_epochs != stops[0] else 1, dropout=dropout)
        optimizer = make_optimizer(model.parameters())
        scheduler = make_scheduler(optimizer)
        generator = make_generator(2 if num_epochs == stops[0] else 77)
        history = train(model, make_data(), optimizer, num_epochs=num_epochs, batch_size=16, generator=generator,
                        validation=make_data(30, seed=5), scheduler=scheduler, schedule_each=schedule_each,
                        checkpoint=path, resume=True)  # fmt: skip
    return full_state(model, optimizer, scheduler, generator, history)


def assert_resumes_exactly(tmp_path, make_optimizer, make_scheduler, schedule_each, **options):
    with torch.random.fork_rng():
        plan = (make_optimizer, make_scheduler, schedule_each)
        whole, whole_tensors = interrupted(tmp_path / "whole", *plan, [4], **options)
        parts, part_tensors = interrupted(tmp_path / "parts", *plan, [1, 3, 4], **options)
    assert whole == parts
    assert len(whole_tensors) == len(part_tensors)
    assert all(torch.equal(a, b) for a, b in zip(whole_tensors, part_tensors, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, name):
    assert_resumes_exactly(tmp_path, OPTIMIZERS[name], *SCHEDULERS["none"])


@pytest.mark.parametrize("name", list(SCHEDULERS)[1:])
def test_a_resumed_schedule_goes_on_where_it_was(tmp_path, name):
    assert_resumes_exactly(tmp_path, OPTIMIZERS["torch SGD"], *SCHEDULERS[name])


def test_a_resumed_run_with_dropout_draws_the_same_masks(tmp_path):
    assert_resumes_exactly(tmp_path, OPTIMIZERS["Adam"], *SCHEDULERS["none"], dropout=0.3)


def test_a_finished_run_is_put_back_with_its_weights(tmp_path):
    path = tmp_path / "run.safetensors"
    model, history = run(checkpoint=path)
    fresh, again = run(make_model(seed=50), checkpoint=path, resume=True)
    assert torch.equal(weights(fresh), weights(model))
    assert again.step_losses == history.step_losses


def test_resume_starts_afresh_where_there_is_no_file_yet(tmp_path):
    _, history = run(checkpoint=tmp_path / "deep" / "run.safetensors", resume=True)
    assert history.step_losses == run()[1].step_losses
    files = {path.name for path in (tmp_path / "deep").iterdir()}
    assert files == {"run.safetensors", "run.safetensors.previous"}


def test_a_checkpoint_is_safetensors_and_json(tmp_path):
    from safetensors import safe_open

    run(checkpoint=tmp_path / "run", validation=make_data())
    with safe_open(tmp_path / "run", framework="pt") as file:
        rest = json.loads(file.metadata()["rest"])
        names = set(file.keys())
    assert {"model.layers.0.weight", "best.layers.0.weight", "generator"} <= names
    assert rest["kinds"] == {"optimizer": "SGD", "scheduler": "none"}
    assert len(rest["history"]["epochs"]) == 2


def test_a_failed_write_keeps_both_checkpoints(tmp_path, monkeypatch):
    path = tmp_path / "run"
    run(checkpoint=path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(before) == {"run", "run.previous"}

    def full_disk(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"run cannot be written .*no space left .*last complete checkpoint"):
        run(checkpoint=path, num_epochs=3, resume=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def refuse(path, message, model=None, make_optimizer=None, **options):
    """Assert that resuming from `path` fails with `message` and changes nothing."""
    model = make_model(seed=50) if model is None else model
    optimizer = (make_optimizer or OPTIMIZERS["torch SGD"])(model.parameters())
    before, generator = weights(model), make_generator(9)
    with pytest.raises(CheckpointError, match=message):
        run(model, optimizer, checkpoint=path, resume=True, generator=generator, **options)
    assert torch.equal(weights(model), before)
    assert torch.equal(generator.get_state(), make_generator(9).get_state())
    assert not optimizer.state


def test_a_checkpoint_of_another_run_is_refused_and_nothing_is_changed(tmp_path):
    path = tmp_path / "run"
    model = make_model()
    run(model, OPTIMIZERS["torch SGD"](model.parameters()), checkpoint=path)
    refuse(path, r"another model: it has layers\.0\.weight of shape \(8, 6\), this one of shape \(9, 6\)",
           MLP((FEATURES, 9, CLASSES)))  # fmt: skip
    refuse(path, r"it has layers\.2\.weight of shape none", MLP((FEATURES, 8, CLASSES, CLASSES)))
    refuse(path, "with optimizer SGD, this run has Adam", make_optimizer=OPTIMIZERS["Adam"])
    refuse(
        path,
        "another optimizer",
        make_optimizer=lambda p: torch.optim.SGD([{"params": [q]} for q in p], lr=0.1),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match="with scheduler none, this run has StepLR"):
        run(model, optimizer, checkpoint=path, resume=True, scheduler=lr_scheduler.StepLR(optimizer, 1))


def test_damaged_and_foreign_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "run"
    run(checkpoint=path, num_epochs=1)
    path.write_bytes(path.read_bytes()[:-5])
    refuse(path, r"run cannot be read \(.*Use an earlier checkpoint")
    save_file({"w": torch.ones(2)}, path)
    refuse(path, "is not a checkpoint of this course")
    save_file({"w": torch.ones(2)}, path, metadata={"format": "course-checkpoint-1", "rest": "{}"})
    refuse(path, r"written by an earlier version .*without the digest .*start it again")


def test_what_json_cannot_hold_is_named(tmp_path):
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["hook"] = print
    with pytest.raises(TypeError, match=r"optimizer\.param_groups\.0\.hook is a builtin_function_or_method"):
        run(model, optimizer, checkpoint=tmp_path / "run")


# bfloat16


def test_autocast_is_refused_where_it_would_be_slower(monkeypatch):
    monkeypatch.setattr(loop, "has_fast_bfloat16", lambda device: False)
    with pytest.raises(ValueError, match=r"autocast=True needs a device .* this cpu does not"):
        run(autocast=True)


@pytest.mark.filterwarnings("ignore:.*bfloat16.*")
def test_autocast_computes_in_bfloat16_and_keeps_weights_in_float32(monkeypatch):
    monkeypatch.setattr(
        loop, "has_fast_bfloat16", lambda device: True
    )  # slow elsewhere, but the same numbers
    dtypes = []
    model = make_model()
    model.register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
    _, history = run(model, autocast=True, validation=make_data())
    assert set(dtypes) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # bfloat16 has 8 bits: unit round-off 2**-8. Two layers and the rounded weights make several of these, chosen: 8.
    assert history.step_losses == pytest.approx(run()[1].step_losses, rel=8 / 256)
    assert history.step_losses != run()[1].step_losses


@pytest.mark.parametrize(
    ("flags", "fast"), [("fma avx2", False), ("avx512f avx512_bf16", True), ("amx_bf16 amx_tile", True)]
)
def test_fast_bfloat16_is_read_from_the_flags_of_the_cpu(monkeypatch, flags, fast):
    monkeypatch.setattr(loop.Path, "read_text", lambda self, encoding: f"flags : {flags}")
    assert has_fast_bfloat16() is fast


def test_fast_bfloat16_is_not_guessed(monkeypatch):
    def absent(self, encoding):
        raise FileNotFoundError(self)

    monkeypatch.setattr(loop.Path, "read_text", absent)
    assert not has_fast_bfloat16("cpu")
    assert not has_fast_bfloat16("mps")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert has_fast_bfloat16("cuda")


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_epochs": 0}, "batch_size and num_epochs must be at least 1, got 16 and 0"),
        ({"batch_size": 0}, "batch_size and num_epochs must be at least 1, got 0 and 2"),
        (
            {"schedule_each": "batch"},
            "schedule_each must be one of 'epoch', 'step', got schedule_each='batch'",
        ),
        (
            {"on_divergence": "ignore"},
            "on_divergence must be one of 'raise', 'stop', got on_divergence='ignore'",
        ),
        ({"resume": True}, r"resume=True needs checkpoint=\.\.\."),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(options, message):
    model = make_model()
    with pytest.raises((ValueError, TypeError), match=message):
        run(model, **options)
    assert torch.equal(weights(model), weights(make_model()))


def test_data_of_unequal_length_and_a_plateau_without_validation_are_refused():
    model, (x, y) = make_model(), make_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="same number of examples, at least 1, got 50 and 49"):
        train(model, (x, y[1:]), optimizer, num_epochs=1, batch_size=4, generator=make_generator(0))
    with pytest.raises(ValueError, match="at least 1, got 0 and 0"):
        evaluate(model, (x[:0], y[:0]))
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau watches the validation loss: give validation"):
        run(model, optimizer, scheduler=lr_scheduler.ReduceLROnPlateau(optimizer))


def test_the_progress_bar_counts_steps_and_is_off_by_default(capsys):
    run()
    assert capsys.readouterr().err == ""
    run(progress=True)
    assert "8/8" in capsys.readouterr().err
