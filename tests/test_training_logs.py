"""Is what is read what was trained, and does nothing half-written stay behind?"""

import math
import random
from dataclasses import asdict

import pytest
import torch

from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import EpochRecord, History, logs


@pytest.fixture
def history():
    """Two epochs of numbers that need all their digits, and one that is missing."""
    epochs = [
        EpochRecord(0, 1 / 3, 0.1, 2 / 7, 0.5, 0.1),
        EpochRecord(1, 0.2, 0.3, math.nan, math.nan, 0.01),
    ]
    return History([0.5, 1 / 3, 1e-12, 2.0], epochs, {"w": torch.ones(2)})


def same(a, b):
    return all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(a, b, strict=True))


def test_csv_gives_back_every_digit_and_nan(history, tmp_path):
    logs.write_csv(history, tmp_path / "run.csv")
    for read, record in zip(logs.read_csv(tmp_path / "run.csv"), history.epochs, strict=True):
        assert same(asdict(read).values(), asdict(record).values())


def test_csv_with_another_header_is_refused(tmp_path):
    (tmp_path / "run.csv").write_text("epoch,loss\n0,1.0\n")
    with pytest.raises(ValueError, match="needs the columns"):
        logs.read_csv(tmp_path / "run.csv")


def test_json_gives_back_every_digit_and_no_weights(history, tmp_path):
    logs.write_json(history, tmp_path / "run.json")
    read = logs.read_json(tmp_path / "run.json")
    assert read.step_losses == history.step_losses
    assert read.best_weights is None
    for epoch, record in zip(read.epochs, history.epochs, strict=True):
        assert same(asdict(epoch).values(), asdict(record).values())


def test_json_is_strict_where_python_would_write_nan(history, tmp_path):
    diverged = History([1.0, math.inf, math.nan], history.epochs, diverged=True)
    logs.write_json(diverged, tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert logs.read_json(tmp_path / "run.json").diverged


def test_a_failed_write_leaves_the_old_file_and_nothing_else(history, tmp_path, monkeypatch):
    logs.write_csv(history, tmp_path / "run.csv")
    old = (tmp_path / "run.csv").read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        logs.write_csv(History(), tmp_path / "run.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["run.csv"]
    assert (tmp_path / "run.csv").read_text() == old


def damages(content, draw, number):
    """Yield {what was done: content}: cut off anywhere, or with one bit flipped."""
    for _ in range(number):
        yield "cut off", content[: draw.randrange(len(content))]
        changed = bytearray(content)
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        yield "bit flipped", bytes(changed)


def test_a_json_log_that_was_cut_off_or_changed_is_named(history, tmp_path, tally):
    path, number = tmp_path / "run.json", tally.number(each_time=300, weekly=5_000)
    logs.write_json(history, path)
    whole = path.read_bytes()
    for _, content in damages(whole, random.Random(0), number):
        path.write_bytes(content)
        if content.replace(b"E-", b"e-") == whole:  # one bit, and the same number: 1E-12
            assert logs.read_json(path).step_losses == history.step_losses
            continue
        with pytest.raises(ValueError, match=r"^run\.json is cut off or damaged \(.*take a copy") as caught:
            logs.read_json(path)
    tally.note("run logs", "JSON cut off, or one bit flipped", tried=2 * number, message=str(caught.value))


@pytest.mark.parametrize("text", ["[" * 50_000, "5", "null", '{"digest": 1}', "{}"])
def test_a_json_log_that_is_none_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is cut off or damaged"):
        logs.read_json(tmp_path / "run.json")


def test_a_csv_log_that_was_cut_off_within_a_row_is_named(history, tmp_path, tally):
    path = tmp_path / "run.csv"
    logs.write_csv(history, path)
    content = path.read_bytes()
    between_rows = {k + 1 for k, byte in enumerate(content) if byte == ord("\n")}
    for length in set(range(len(content))) - between_rows:
        path.write_bytes(content[:length])
        with pytest.raises(
            ValueError, match=r"^run\.csv (is cut off or damaged|needs the columns)"
        ) as caught:
            logs.read_csv(path)
    tally.note("run logs", "CSV cut off within a row", tried=len(content) - len(between_rows),
               message=str(caught.value))  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",0.5,", ",0;5,", "row 1 is "), (",0.5,", ",0.5,0.5,", "row 1 is "), (",0.5,", ",", "row 1 is "),
        ("\n1,", "\n2,", "row 2 should be of epoch 1 and is of 2"), ("\n0,", "\n\n0,", r"row 1 is \[\]"),
        ("\n0,", '\n"0,', "unexpected end"), ("\n0,", "\n\xff,", "can't decode"),
    ],
)  # fmt: skip
def test_a_csv_log_with_a_row_of_another_form_is_named(history, tmp_path, old, new, message):
    path = tmp_path / "run.csv"
    logs.write_csv(history, path)
    path.write_text(path.read_text().replace(old, new), encoding="latin-1" if "\xff" in new else "utf-8")
    with pytest.raises(ValueError, match=f"run.csv is cut off or damaged.*{message}"):
        logs.read_csv(path)


# The imports below are those of tensorboard, which is in the extra "lab"; its own warnings are not ours to mend.
tensorboard = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@tensorboard
def test_events_hold_every_number_up_to_the_rounding_of_float32(history, tmp_path):
    pytest.importorskip("tensorboard")
    logs.write_tensorboard(history, tmp_path)
    board = logs.read_tensorboard(tmp_path)
    assert [step for step, _ in board[logs.STEP_LOSS]] == [0, 1, 2, 3]
    assert [v for _, v in board[logs.STEP_LOSS]] == pytest.approx(history.step_losses, rel=2**-24, abs=0)
    assert board["epoch/lr"] == [(0, pytest.approx(0.1, rel=2**-24)), (1, pytest.approx(0.01, rel=2**-24))]
    assert board["epoch/val_loss"] == [(0, pytest.approx(2 / 7, rel=2**-24))], "NaN is left out"
    assert "epoch/epoch" not in board


@tensorboard
def test_a_board_keeps_all_events_of_a_long_run(tmp_path):
    pytest.importorskip("tensorboard")
    logs.write_tensorboard(History([float(k) for k in range(12_000)]), tmp_path)
    assert len(logs.read_tensorboard(tmp_path)[logs.STEP_LOSS]) == 12_000


@tensorboard
def test_a_folder_without_events_has_no_curves(tmp_path):
    pytest.importorskip("tensorboard")
    assert logs.read_tensorboard(tmp_path) == {}


@tensorboard
def test_the_graph_has_a_linear_map_per_layer_and_the_model_is_left_alone(history, tmp_path):
    pytest.importorskip("tensorboard")
    model = MLP((6, 5, 4, 3), generator=make_generator(0))
    before = [p.clone() for p in model.parameters()]
    logs.write_tensorboard(history, tmp_path / "with", model=model, example=torch.ones(2, 6))
    logs.write_tensorboard(history, tmp_path / "without")
    assert sum(op == "aten::linear" for _, op in logs.read_graph(tmp_path / "with")) == 3
    assert logs.read_graph(tmp_path / "without") == []
    assert model.training
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


@tensorboard
def test_events_that_were_cut_off_or_changed_are_named(history, tmp_path, tally):
    pytest.importorskip("tensorboard")
    number = tally.number(each_time=60, weekly=1_000)
    logs.write_tensorboard(history, tmp_path / "run")
    whole = logs.read_tensorboard(tmp_path / "run")
    (file,) = (tmp_path / "run").iterdir()
    content, message, tried = file.read_bytes(), "", 0
    for what, changed in damages(content, random.Random(0), number):
        file.write_bytes(changed)
        try:
            assert logs.read_tensorboard(tmp_path / "run") == {}, what  # cut before the first point
            assert len(changed) < 250
        except ValueError as error:
            message, tried = str(error), tried + 1
            assert "is cut off or damaged" in message
    assert tried > 1.5 * number
    file.write_bytes(content)
    assert logs.read_tensorboard(tmp_path / "run") == whole
    tally.note("run logs", "events cut off, or one bit flipped", tried=tried, message=message)


@tensorboard
def test_events_that_are_gone_from_the_end_are_named(history, tmp_path):
    pytest.importorskip("tensorboard")
    logs.write_tensorboard(history, tmp_path / "run")
    (file,) = (tmp_path / "run").iterdir()
    content = file.read_bytes()
    ends = [0]
    while ends[-1] < len(content):  # a record is its length, a checksum, the event, a checksum
        ends.append(ends[-1] + 16 + int.from_bytes(content[ends[-1] : ends[-1] + 8], "little"))
    for end in ends[3:-1]:
        file.write_bytes(content[:end])
        with pytest.raises(
            ValueError, match=r"run is cut off or damaged \(\d steps, \d epochs of 4 steps, 2 epochs\)"
        ):
            logs.read_tensorboard(tmp_path / "run")
