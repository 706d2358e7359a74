"""A claim holds inside its band, fails outside it, and says what was measured either way."""

import json
import math

import numpy as np
import pytest
import scipy.stats
import torch

from course_utils import claims
from course_utils.claims import ClaimFailed, check, evaluate, interval, mean_and_half_width


def holds(measured, **band):
    return evaluate("05.1", "a statement", measured=measured, **band).holds


@pytest.mark.parametrize(
    ("band", "inside", "outside"),
    [
        (dict(expected=10.0, rel=0.1), (9.01, 10.99), (8.9, 11.1)),
        (dict(expected=-10.0, rel=0.1), (-9.01, -10.99), (-8.9, 10.0)),
        (dict(expected=0.0, abs=0.1), (-0.09, 0.09), (-0.11, 0.11)),
        (dict(expected=4.0, factor=2.0), (2.0, 8.0), (1.9, 8.1, -4.0)),
        (dict(at_least=3.0), (3.0, math.inf), (2.99,)),
        (dict(at_most=3.0), (3.0, -math.inf), (3.01,)),
        (dict(between=(1.0, 2.0)), (1.0, 2.0), (0.99, 2.01)),
        (dict(equal=7), (7,), (8, 7.5)),
        (dict(equal=False), (False,), (True,)),
        (dict(equal="S"), ("S",), ("s",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_each_band_holds_inside_and_fails_outside(band, inside, outside):
    assert all(holds(value, **band) for value in inside)
    assert not any(holds(value, **band) for value in outside)


@pytest.mark.parametrize(
    "band", [dict(expected=1.0, rel=9.0), dict(expected=1.0, abs=9.0), dict(expected=1.0, factor=9.0),
             dict(at_least=0.0), dict(at_most=9.0), dict(between=(-9.0, 9.0)), dict(equal=1.0)],
    ids=lambda band: list(band)[-1],
)  # fmt: skip
def test_nan_never_holds(band):
    assert not holds(math.nan, **band)


@pytest.mark.parametrize("n", [2, 5, 20, 31, 200])
def test_interval_is_students_t(n):
    values = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64).tolist()
    mean, half_width = mean_and_half_width(values)
    low, high = scipy.stats.t.interval(0.95, n - 1, loc=mean, scale=scipy.stats.sem(values))
    assert half_width == pytest.approx((high - low) / 2, rel=2e-3)


def test_interval_is_written_with_the_same_decimals_on_both_sides():
    assert interval([1.0, 2.0, 3.0]) == "2.00 ± 2.48"
    assert interval([1.0, 2.0, 3.0], digits=1) == "2.0 ± 2.5"
    assert interval([1.25]) == "1.25"


def test_several_seeds_are_judged_by_their_mean_and_show_their_interval():
    claim = evaluate("05.1", "three seeds", measured=[1.0, 2.0, 3.0], expected=2.0, abs=0.1)
    assert claim.holds
    assert claim.n == 3
    assert "2 ± 2.5 (95 %, n = 3), expected 2, within ±0.1" in repr(claim)


def test_tensors_bring_their_dtype_and_device():
    claim = evaluate("05.1", "a tensor", measured=torch.tensor([1.0, 1.0], dtype=torch.float64), at_least=0.5)
    assert (claim.dtype, claim.device, claim.n) == ("float64", "cpu", 2)
    assert claim.versions["torch"] == torch.__version__


def test_html_shows_the_verdict_and_escapes_the_statement():
    html = evaluate("05.1", "a < b", measured=1.0, at_most=2.0)._repr_html_()
    assert "✓ 05.1" in html
    assert "a &lt; b" in html
    assert "✗" in evaluate("05.1", "a < b", measured=3.0, at_most=2.0)._repr_html_()


def test_failing_claim_raises_with_measured_expected_and_band(capsys):
    with pytest.raises(ClaimFailed, match=r"FAILS\] He keeps.*measured 3, expected 1, within a factor 2"):
        check("05.3", "He keeps the mean square", measured=3.0, expected=1.0, factor=2.0)
    assert "[05.3 FAILS]" in capsys.readouterr().out


def test_records_are_appended_as_json_lines_also_for_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "claims.jsonl"
    monkeypatch.setenv("COURSE_CLAIMS", str(path))
    check("05.1", "holds", measured=1.0, at_least=0.0, rows=("S0-047",), source="eq. (5.1)")
    with pytest.raises(ClaimFailed):
        check("05.2", "fails", measured=-1.0, at_least=0.0)
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (first["id"], first["holds"], first["rows"]) == ("05.1", True, ["S0-047"])
    assert (second["id"], second["holds"]) == ("05.2", False)


@pytest.mark.parametrize(
    "band",
    [
        {"expected": np.float64(1.0), "factor": 1.5},
        {"expected": torch.tensor(1.0), "rel": 0.1},
        {"expected": np.float32(1.0), "abs": np.float32(0.1)},
        {"between": (np.float32(0.5), torch.tensor(2.0))},
        {"at_least": torch.tensor(0.5)},
    ],
)
def test_bands_of_numpy_and_torch_go_into_the_record(band, tmp_path, monkeypatch):
    path = tmp_path / "claims.jsonl"
    monkeypatch.setenv("COURSE_CLAIMS", str(path))
    check("05.1", "statement", measured=np.float64(1.0), **band)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["holds"] is True
    assert record["expected"] in (None, 1.0)


def test_in_a_notebook_the_record_is_displayed_instead_of_printed(monkeypatch, capsys):
    import IPython

    shell = type("ZMQInteractiveShell", (), {})()
    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", shown.append)
    check("05.1", "shown", measured=1.0, at_least=0.0)
    assert [claim.id for claim in shown] == ["05.1"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(id="5.1", measured=1.0, at_least=0.0), "two digits, a dot and a number"),
        (dict(id="05.1", measured=1.0), "exactly one of .* got none"),
        (dict(id="05.1", measured=1.0, at_least=0.0, at_most=1.0), "exactly one of .* got at_least, at_most"),
        (dict(id="05.1", measured=1.0, rel=0.1), "compares with expected"),
        (dict(id="05.1", measured=1.0, expected=1.0, factor=0.5), "factor > 1 and expected > 0"),
        (dict(id="05.1", measured=1.0, expected=-1.0, factor=2.0), "factor > 1 and expected > 0"),
        (dict(id="05.1", measured=1.0, at_least=0.0, rows=("S7-1",)), r"rows are ids .* got \['S7-1'\]"),
        (dict(id="05.1", measured=[], at_least=0.0), "measured is empty"),
    ],
)
def test_malformed_claims_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(arguments.pop("id"), "a statement", **arguments)


def test_evaluate_shows_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "claims.jsonl"))
    assert not claims.evaluate("05.1", "quiet", measured=0.0, at_least=1.0).holds
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
