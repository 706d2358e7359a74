"""The initialization playground: is it torch's arithmetic, is the prediction right, does it fit, and is it quick?

The numbers are computed by the module itself, in Chromium, and compared with torch's in double precision.
"""

import math
import statistics

import pytest
import torch
from conftest import BARRIERS

pytest.importorskip("playwright", reason="the slides extra is not installed")

from course_utils.initializers import GAIN
from course_utils.models import ACTIVATIONS
from course_utils.playgrounds import _initialization as ours
from course_utils.playgrounds import as_html
from course_utils.playgrounds._page import module

# How long the page's own work lasts within each frame while a slider moves from end to end and back.
DRAG = """async () => {
  const later = globalThis.requestAnimationFrame, lasted = [];
  globalThis.requestAnimationFrame = (work) => later((now) => {
    const begun = performance.now();
    work(now);
    lasted.push(performance.now() - begun);
  });
  const gain = document.querySelectorAll(".pg-controls input")[0];
  for (let step = 0; step < 120; step += 1) {
    gain.value = 0.15 + 0.4 * Math.sin(step / 10);
    gain.dispatchEvent(new Event("input"));
    await new Promise(later);
  }
  globalThis.requestAnimationFrame = later;
  return lasted;
}"""


def written(tmp_path, theme="light", **state):
    path = tmp_path / "page.html"
    path.write_text(
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Start</title></head>'
        f'<body style="margin: 0"><main>{as_html("initialization", **state)}</main></body></html>',
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture(scope="module")
def program(running):
    """A page on which `m` is the module, and a function that evaluates JavaScript there."""
    page = running.new_page()
    page.goto("about:blank")
    page.evaluate(
        """async (text) => {
          const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
          globalThis.m = await import(address);
        }""",
        module("initialization"),
    )
    yield page.evaluate
    page.close()


@pytest.fixture
def opened(running, tmp_path):
    """Open the playground in a window and return its page; what the page asks for and complains about is an error."""
    contexts, complaints = [], []

    def open_page(*, width=1080, height=720, theme="light", motion="no-preference", **state):
        context = running.new_context(viewport={"width": width, "height": height}, reduced_motion=motion)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url)
        )
        page.goto(written(tmp_path, theme, **state))
        page.wait_for_function("document.querySelector('.pg-readout').textContent.startsWith('Signal')")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


# Its arithmetic


def torch_signals(weights, shifts, inputs, activation, top, scale, bias):
    """Return the preactivations, the outputs, and the gradients with respect to both, by autograd."""
    h, zs, hs = inputs, [], []
    for weight, shift in zip(weights, shifts, strict=True):
        zs.append(
            (scale * h @ weight.T + bias * shift).requires_grad_()
            if not zs
            else scale * h @ weight.T + bias * shift
        )
        hs.append(h := ACTIVATIONS[activation](zs[-1]))
    gradients = torch.autograd.grad((h * top).sum(), zs + hs)
    return {
        "preactivations": zs,
        "outputs": hs,
        "gradients": gradients[: len(zs)],
        "outputGradients": gradients[len(zs) :],
    }


@pytest.mark.parametrize("activation", ours.GAIN_OF)
@pytest.mark.parametrize(
    "width", [7, 32]
)  # 7 is no multiple of the four that the loops unroll, nor is a batch of 5
def test_every_signal_equals_that_of_torch(program, generator, activation, width):
    depth, batch, scale, bias = 6, 5, 1.7 / math.sqrt(width), 0.3
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weights, shifts = draw(depth, width, width), draw(depth, width)
    inputs, top = draw(batch, width), draw(batch, width)
    expected = torch_signals(weights, shifts, inputs, activation, top, scale, bias)
    given = {"weights": weights, "shifts": shifts, "inputs": inputs, "top": top}
    found = program(
        """([given, depth, width, scale, bias, activation]) => {
          const flat = (values) => Float64Array.from(values.flat(3));
          const [weights, shifts] = [given.weights.map(flat), given.shifts.map(flat)];
          const network = { depth, width, scale, bias, weights, shifts };
          const room = m.propagate(network, flat(given.inputs), activation, flat(given.top));
          return Object.fromEntries(Object.entries(room).map(([k, layers]) => [k, layers.map((l) => [...l])]));
        }""",
        [{name: values.tolist() for name, values in given.items()}, depth, width, scale, bias, activation],
    )
    for name, layers in expected.items():
        for ours_, theirs in zip(found[name], layers, strict=True):
            here = torch.tensor(ours_, dtype=torch.float64).reshape(theirs.shape)
            torch.testing.assert_close(here, theirs.detach(), rtol=1e-9, atol=1e-13)


def test_the_random_numbers_are_those_of_the_published_generator(program):
    # known answers of Random123 (Salmon et al. 2011), philox2x32 with ten rounds
    answers = [([0, 0, 0], [0xFF1DAE59, 0x6CD10DF2]), ([2**32 - 1] * 3, [0x2C3F628B, 0xAB4FD7AD]),
               ([0x243F6A88, 0x85A308D3, 0x13198A2E], [0xDD7CE038, 0xF62A4C12])]  # fmt: skip
    assert program("(counters) => counters.map((c) => m.philox(...c))", [c for c, _ in answers]) == [
        a for _, a in answers
    ]


@pytest.mark.parametrize(("kind", "fourth"), [("normal", 3.0), ("uniform", 1.8)])
def test_draws_have_mean_0_variance_1_and_the_fourth_moment_of_their_law(program, kind, fourth):
    n = 200_000
    values = torch.tensor(program(f"[...m.draw({n}, 3, 5, '{kind}')]"), dtype=torch.float64)
    for order, expected in ((1, 0.0), (2, 1.0), (4, fourth)):
        powers = values**order
        assert abs(float(powers.mean()) - expected) < 4.5 * float(powers.std()) / math.sqrt(n)


def test_gains_and_scales_are_those_of_the_initializers(program, generator):
    assert program("m.GAIN") == pytest.approx(
        {name: GAIN[key] for name, key in ours.GAIN_OF.items()}, rel=1e-15
    )
    for activation in ours.GAIN_OF:
        for start in ours.STARTS:
            state = ours.complete({"activation": activation, "start": start, "gain": 0.7, "width": 200})
            found = program("(state) => m.law(state)", state)
            assert (found["gain"], found["bias"]) == pytest.approx(ours.law(state), rel=1e-15)
            if (rule := ours.rule(state, generator)) is not None:
                std = float(rule(torch.empty(200, 200, dtype=torch.float64)).std())
                assert std == pytest.approx(found["gain"] / math.sqrt(200), rel=4.5 / math.sqrt(2 * 200**2))


def test_the_normal_distribution_is_right_to_the_last_digits(program):
    points = torch.linspace(-8, 8, 641, dtype=torch.float64)
    found = torch.tensor(program("(points) => points.map(m.normalCdf)", points.tolist()), dtype=torch.float64)
    torch.testing.assert_close(found, torch.special.ndtr(points), rtol=1e-12, atol=2e-16)


# Its prediction


@pytest.mark.parametrize("activation", ours.GAIN_OF)
@pytest.mark.parametrize("q", [1e-6, 0.4, 1.18, 30.0])
def test_moments_equal_monte_carlo_and_a_fine_rule(program, generator, activation, q):
    found = program("([activation, q]) => m.moments(activation, q)", [activation, q])
    assert (found["signal"], found["flow"]) == pytest.approx(ours.mean_squares(activation, q), rel=1e-9)
    z = (math.sqrt(q) * torch.randn(400_000, generator=generator, dtype=torch.float64)).requires_grad_()
    value = ACTIVATIONS[activation](z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    for name, sample in (("signal", value.detach().square()), ("flow", slope.square())):
        error = float(sample.std()) / math.sqrt(len(z))
        assert abs(float(sample.mean()) - found[name]) <= 4.5 * error + 1e-12 * found[name], name
    spread = float(value.detach().square().var() / value.detach().square().mean() ** 2)
    assert found["signalSpread"] == pytest.approx(spread, rel=0.05, abs=1e-3)


CASES = [("identity", "lecun", 1.0), ("relu", "he", 1.0), ("relu", "torch", 1.0), ("tanh", "gain", 3.0),
         ("sigmoid", "xavier", 1.0), ("gelu", "gain", 1.6), ("leaky_relu", "he", 1.0)]  # fmt: skip


@pytest.mark.parametrize(("activation", "start", "gain"), CASES)
def test_the_line_equals_the_recursion_in_python(program, activation, start, gain):
    state = ours.complete({"activation": activation, "start": start, "gain": gain, "depth": 40, "width": 100})
    found, expected = program("(state) => m.predictedRms(state)", state), ours.predict(state)
    for name, layers in expected.items():
        assert found[name]["wide"] == pytest.approx(layers, rel=1e-9), name


DRAWS = """([state, n]) => Array.from({ length: n }, (_, seed) => {
  const { depth, width, activation } = state, network = m.makeNetwork({ ...state, seed });
  const [inputs, top] = [0, 1].map((stream) => m.draw(32 * width, seed, stream));
  const room = m.propagate(network, inputs, activation, top);
  return { preactivation: room.preactivations.map(m.rms), output: room.outputs.map(m.rms),
    gradient: room.gradients.map(m.rms) };
})"""


@pytest.mark.parametrize(("activation", "start", "gain"), CASES)
def test_its_draws_agree_with_those_of_torch_and_with_the_prediction(program, activation, start, gain):
    n, depth = 30, 10
    state = ours.complete(
        {"activation": activation, "start": start, "gain": gain, "depth": depth, "width": 48}
    )
    here = program(DRAWS, [state, n])
    there = [ours.measure(state | {"seed": 1000 + seed}) for seed in range(n)]
    predicted = program("(state) => m.predictedRms(state)", state)
    inside = 0
    for name, layer in (("preactivation", depth - 1), ("output", depth - 1), ("gradient", 0)):
        logs = [[math.log(one[name][layer]) for one in draws] for draws in (here, there)]
        means, variances = zip(
            *((statistics.mean(part), statistics.variance(part)) for part in logs), strict=True
        )
        assert abs(means[0] - means[1]) < 4.5 * math.sqrt(sum(variances) / n), name
        assert 1 / 5 < variances[0] / variances[1] < 5, name  # F(29, 29) exceeds 5 once in 50,000 times
        low, high = (predicted[name][end][layer] for end in ("low", "high"))
        inside += sum(low <= one[name][layer] <= high for one in here)
    assert inside >= 0.85 * 3 * n  # of 95 %: three signals of one draw count as one of n = 30, sd 4 %


def test_each_extra_layer_of_a_wide_relu_network_costs_the_predicted_factor(program):
    state = ours.complete({"activation": "relu", "start": "lecun", "depth": 12, "width": 256})
    draws = program(DRAWS, [state, 8])
    per_layer = [(one["output"][-1] / one["output"][0]) ** (1 / 11) for one in draws]
    assert statistics.mean(per_layer) == pytest.approx(
        math.sqrt(0.5), rel=0.02
    )  # sd of a draw 1.5 %, of 8 0.6 %


# Its state in Python


@pytest.mark.parametrize(
    ("state", "words"),
    [({"depth": 51}, "depth needs 2 <= depth <= 50, got 51"), ({"width": 7}, "8 <= width"),
     ({"gain": 0.0}, "0.02 <= gain"), ({"gain": math.nan}, "0.02 <= gain"), ({"depth": 2.5}, "whole number"),
     ({"seed": -1}, "0 <= seed"), ({"activation": "swish"}, "known: gelu"), ({"start": "best"}, "known: gain, he"),
     ({"colour": 1}, "part of the state")],
)  # fmt: skip
def test_a_wrong_state_is_refused_with_the_rule(state, words):
    with pytest.raises(ValueError, match=words):
        as_html("initialization", **state)


def test_a_gain_without_a_start_is_a_start_by_the_gain():
    assert ours.complete({"gain": 1.5})["start"] == "gain"
    assert ours.complete({"gain": 1.5, "start": "he"})["start"] == "he"


def test_the_fragment_is_the_same_twice_and_its_poster_is_small():
    first, second = (
        as_html("initialization", activation="tanh", start="he", depth=50, width=32) for _ in range(2)
    )
    assert first == second
    picture, words = ours.poster(ours.complete({"depth": 50}))
    assert len(picture) < 60_000
    assert "50 layers" in words


def test_the_widget_keeps_its_traits_and_refuses_others():
    traitlets = pytest.importorskip("traitlets")
    pytest.importorskip("anywidget", reason="the lab extra is not installed")
    from course_utils.playgrounds import InitializationPlayground

    widget = InitializationPlayground(activation="tanh", start="he", depth=12)
    assert (widget.depth, widget.start, widget.width) == (12, "he", 128)
    with pytest.raises(traitlets.TraitError, match="2 <= depth <= 50, got 99"):
        widget.depth = 99
    assert widget.depth == 12
    with pytest.raises(ValueError, match="8 <= width"):
        InitializationPlayground(width=3)


# Its page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 800, 1280])
def test_the_page_has_no_barriers_and_nothing_sticks_out(opened, packages, theme, width):
    page = opened(width=width, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate((packages / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    assert page.evaluate(BARRIERS) == []


def test_it_fits_on_a_slide(opened):
    page = opened(width=1280, height=720, depth=50)
    assert page.evaluate("document.documentElement.scrollHeight") <= 720


def test_the_keyboard_moves_the_gain_and_the_words_follow(opened):
    page = opened(activation="relu", start="lecun", depth=50)
    words = page.locator(".pg-readout")
    assert "vanishing" in words.text_content()
    page.get_by_label("Start").select_option("he")
    page.wait_for_function("/kept|growing|fading/.test(document.querySelector('.pg-readout').textContent)")
    assert page.get_by_role("slider", name="Gain").get_attribute("aria-valuetext").startswith("1.41")
    page.get_by_role("slider", name="Gain").press("End")
    page.wait_for_function("document.querySelector('.pg-readout').textContent.includes('exploding')")
    assert page.get_by_label("Start").input_value() == "gain"
    assert words.get_attribute("aria-live") == "polite"
    assert page.locator("canvas").get_attribute("aria-label").endswith(words.text_content())


def test_the_canvas_has_as_many_pixels_as_the_screen(running, tmp_path):
    page = running.new_page(device_scale_factor=2, viewport={"width": 800, "height": 900})
    page.goto(written(tmp_path))
    page.wait_for_function(
        "document.querySelector('canvas').width === 2 * document.querySelector('canvas').clientWidth"
    )
    page.close()


def test_the_newest_input_wins(opened):
    page = opened(depth=50, width=64)
    page.evaluate("""() => {
      const [gain, depth] = document.querySelectorAll(".pg-controls input");
      for (const value of [40, 20, 5]) { depth.value = value; depth.dispatchEvent(new Event("input")); }
      gain.value = 0; gain.dispatchEvent(new Event("input"));
    }""")
    page.wait_for_function("document.querySelector('.pg-readout').textContent.includes('layer 5 ')")
    assert page.get_by_role("slider", name="Gain").get_attribute("aria-valuetext").startswith("1 (")


@pytest.mark.parametrize(("motion", "still"), [("reduce", True), ("no-preference", False)])
def test_layers_appear_one_by_one_unless_motion_is_reduced(opened, motion, still):
    page = opened(depth=50, width=128, motion=motion)
    drawn = page.evaluate("""async () => {
      const words = document.querySelector(".pg-readout"), prototype = CanvasRenderingContext2D.prototype;
      const before = words.textContent, clear = prototype.clearRect;
      let drawn = 0;
      prototype.clearRect = function (...box) { drawn += 1; clear.apply(this, box); };
      document.querySelector("button").click();
      while (words.textContent === before) await new Promise(requestAnimationFrame);
      prototype.clearRect = clear;
      return drawn;
    }""")
    assert drawn == 1 if still else drawn > 5


def test_the_colours_follow_the_theme_of_the_page(opened):
    page = opened(theme="light")
    picture = "document.querySelector('canvas').toDataURL()"
    light = page.evaluate(picture)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"(light) => {picture} !== light", arg=light)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_a_dragged_slider_costs_less_than_a_frame(opened, activation):
    page = opened(activation=activation, depth=50, width=128)
    tries = []
    while len(tries) < 6 and not (tries and tries[-1][-1] < 16):  # the machine is shared: a quiet try counts
        tries.append(sorted(page.evaluate(DRAG)))
    best = min(tries, key=lambda lasted: lasted[-1])
    print(
        f"{activation}: {len(best)} frames, largest {best[-1]:.1f} ms, median {statistics.median(best):.1f} ms"
    )
    assert best[int(0.95 * len(best))] < 16
