"""Is the optimizer playground the same mathematics as the package, and does everybody get to use it?

The JavaScript runs in Chromium; where there is none those tests are skipped, and the others remain.
"""

import json
import re
import subprocess
import sys

import pytest
import torch
from conftest import BARRIERS

pytest.importorskip("playwright", reason="the slides extra is not installed")

from course_utils.landscapes import trajectories
from course_utils.optimizers import RULES
from course_utils.playgrounds import as_html
from course_utils.playgrounds._optimizer import METHODS, SURFACES, complete, paths, poster
from course_utils.playgrounds._page import module
from course_utils.plotting import METHOD_COLORS, METHOD_STYLES

# A second start on every surface. Where a path bounces for ever (momentum over a kink, RMSProp around a minimum) or
# the surface is so steep that a last digit decides between two valleys, rounding grows without bound: none of these is.
STARTS = {
    "quadratic": (1.3, -0.7), "ravine": (-1.2, 4.0), "steep optima": (0.6, -0.1), "Rosenbrock": (-1.5, 2.5),
    "Beale": (1.0, 2.0), "Himmelblau": (0.0, -4.0),
}  # fmt: skip


def page_of(fragment, theme="light"):
    return (
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>T</title>'
        f'<style>body {{ margin: 0; font-family: sans-serif }}</style></head><body><main>{fragment}</main></body>'
    )  # fmt: skip


def opened(running, fragment, theme="light", **options):
    """Return a page with the fragment, once it is drawn, and the list that its complaints and requests go to."""
    page, complaints = running.new_context(**options).new_page(), []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith("data:") else complaints.append(r.url[:80]))
    page.set_content(page_of(fragment, theme))
    page.wait_for_function("document.querySelector('.pg-readout')?.textContent")
    return page, complaints


@pytest.fixture(scope="module")
def mathematics(running):
    """A page whose `pg` holds what the module exports."""
    page = running.new_page()
    page.add_script_tag(
        type="module", content=module("optimizer") + "window.pg = { surfaces, rules, looks, run };"
    )
    page.wait_for_function("window.pg")
    yield page
    page.close()


def error(theirs, ours, size=None):
    """Return the largest difference, relative to the size where that is above 1."""
    size = ours.abs() if size is None else size
    return ((torch.tensor(theirs, dtype=torch.float64) - ours).abs() / size.clamp(min=1.0)).max().item()


@pytest.fixture(scope="module")
def fragment():
    return as_html("optimizer")


# The mathematics


def test_surfaces_have_the_domains_minima_starts_and_rates_of_the_package(mathematics):
    theirs = mathematics.evaluate(
        """Object.entries(pg.surfaces).map(([name, s]) =>
          [name, s.domain, s.minima, s.lowest, s.start, s.lr, s.lr_adaptive])"""
    )
    ours = [
        [name, race.objective.domain, race.objective.minima, race.objective.minimum_value, *race[1:]]
        for name, race in SURFACES.items()
    ]
    assert theirs == json.loads(json.dumps(ours))


def test_methods_look_as_in_every_figure(mathematics):
    theirs = mathematics.evaluate("pg.looks")
    dots = {"-": 0, "--": 2, ":": 2, "-.": 4}  # numbers in a dash pattern
    assert {name: look["color"] for name, look in theirs.items()} == {
        name: METHOD_COLORS[name] for name in METHODS
    }
    assert {name: len(look["dash"]) for name, look in theirs.items()} == {
        name: dots[METHOD_STYLES[name]] for name in METHODS
    }
    assert theirs["momentum"]["dash"] != theirs["momentum (EMA)"]["dash"]


@pytest.mark.parametrize("name", SURFACES)
def test_values_and_gradients_equal_those_of_autograd_at_1000_points(mathematics, generator, name):
    objective = SURFACES[name].objective
    low, high = torch.tensor(objective.domain, dtype=torch.float64).unbind(1)
    points = low + (high - low) * torch.rand(1000, 2, dtype=torch.float64, generator=generator)
    values, gradients = mathematics.evaluate(
        "([name, points]) => [points.map(pg.surfaces[name].value), points.map(pg.surfaces[name].gradient)]",
        [name, points.tolist()],
    )
    assert error(values, objective(points)) < 1e-12
    # the two entries of a gradient are sums over the same terms, so they share their rounding
    gradient = objective.gradient(points)
    assert error(gradients, gradient, gradient.norm(dim=1, keepdim=True)) < 1e-12


@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize("name", SURFACES)
def test_every_rule_walks_the_path_of_the_package_for_200_steps(mathematics, name, rule):
    for start in (SURFACES[name].start, STARTS[name]):
        state = complete({"surface": name, "start": start, "methods": [rule]})
        ours = paths(state)[rule][:, :2]
        theirs = mathematics.evaluate(WALK, state | {"rule": rule})
        assert len(theirs) == 201
        assert error(theirs, ours) < 1e-6
        assert (ours[-1] - ours[0]).norm() > 0.01, "a path that stays proves nothing"


WALK = """({ surface, rule, start, lr, lr_adaptive, momentum, beta2, steps }) => pg.run(
  pg.surfaces[surface], pg.rules[rule], start,
  { lr: /AdaGrad|RMSProp|Adam/.test(rule) ? lr_adaptive : lr, momentum, beta1: momentum, beta2 }, steps)"""


def test_defaults_of_the_rules_are_those_of_the_package(mathematics):
    start = torch.tensor([[-1.2, 1.0]], dtype=torch.float64)
    for rule in METHODS:
        ours = trajectories(RULES[rule], SURFACES["Rosenbrock"].objective.value, start, [1e-3], 50)[
            :, 0, 0, :2
        ]
        theirs = mathematics.evaluate(
            "(rule) => pg.run(pg.surfaces.Rosenbrock, pg.rules[rule], [-1.2, 1], { lr: 1e-3 }, 50)", rule
        )
        assert error(theirs, ours) < 1e-9


@pytest.mark.parametrize(("lr", "ends"), [(0.099, False), (0.2, True)])
def test_a_path_ends_early_only_above_two_over_the_largest_curvature(mathematics, lr, ends):
    path = mathematics.evaluate(
        "(lr) => pg.run(pg.surfaces.quadratic, pg.rules.SGD, [-1.8, 1.2], { lr }, 200)", lr
    )
    assert (len(path) < 201) == ends
    assert all(abs(w) < 1e6 for point in path for w in point)


# The state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"surface": "Himalaya"}, "known: Beale, Himmelblau"),
        ({"surface": "Beale", "start": (5.0, 0.0)}, r"w1 in \[-4.5, 4.5\].*got \(5.0, 0.0\)"),
        ({"start": (1.0,)}, "start needs two numbers"),
        ({"lr": 20.0}, "0.0001 <= lr <= 10.*got 20.0"),
        ({"lr_adaptive": float("nan")}, "the reach of its slider; got nan"),
        ({"momentum": 1.0}, "0 <= momentum < 1"),
        ({"steps": 5}, "10 <= steps <= 500"),
        ({"methods": ["SGD", "Lion"]}, "Unknown method 'Lion'; known: AdaGrad"),
        ({"speed": 2}, "Unknown part of the state 'speed'; known: beta2"),
    ],
)
def test_a_wrong_state_is_refused_with_the_rule_and_the_way_out(state, words):
    with pytest.raises(ValueError, match=words):
        as_html("optimizer", **state)


def test_an_unknown_playground_is_refused():
    with pytest.raises(ValueError, match=r"Unknown playground 'golf'; known: .*optimizer"):
        as_html("golf")


def test_the_same_arguments_give_the_same_bytes(fragment):
    assert as_html("optimizer") == fragment
    assert as_html("optimizer", lr=0.002) != fragment


@pytest.mark.parametrize("name", SURFACES)
def test_a_poster_says_how_far_everyone_came_in_less_than_60_kilobytes(name):
    picture, words = poster(complete({"surface": name}))
    assert len(picture) * 4 / 3 < 60_000
    assert f"on the {name} surface" in words
    assert all(method in words for method in METHODS)


def test_a_poster_says_who_diverged():
    words = poster(complete({"surface": "Rosenbrock", "lr": 1.0, "methods": ["SGD", "Adam"]}))[1]
    assert "SGD diverged" in words
    assert "Adam diverged" not in words


def test_python_sets_and_checks_the_state_of_the_widget():
    pytest.importorskip("anywidget", reason="the lab extra is not installed")
    import traitlets

    from course_utils.playgrounds import OptimizerPlayground

    widget = OptimizerPlayground(surface="Beale", lr=0.01)
    assert (widget.start, widget.lr, widget.lr_adaptive, widget.methods) == (
        (1.0, 1.5),
        0.01,
        0.1,
        list(METHODS),
    )
    with pytest.raises(traitlets.TraitError, match=r"0 <= momentum < 1, got momentum=1\.5"):
        widget.momentum = 1.5
    assert widget.momentum == 0.9
    widget.start = (4.0, 4.0)
    widget.surface = "Rosenbrock"  # which is drawn to (2, 3)
    assert widget.start == SURFACES["Rosenbrock"].start
    with pytest.raises(ValueError, match="Unknown surface"):
        OptimizerPlayground(surface="Himalaya")


def test_without_anywidget_the_page_works_and_the_widget_says_what_to_install():
    code = """
import sys
sys.modules["anywidget"] = None
import course_utils.playgrounds as playgrounds
assert "matplotlib" not in sys.modules
assert "pg-sheet" in playgrounds.as_html("optimizer", methods=[])
try:
    playgrounds.OptimizerPlayground
except ImportError as error:
    print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "pip install 'course-utils[lab]'" in answer.stdout


# The figure


def test_two_on_one_page_ask_nobody_and_keep_their_own_state(running, fragment):
    both = fragment + as_html("optimizer", surface="Beale", methods=["SGD"])
    page, complaints = opened(running, both)
    assert page.get_by_label("Surface").evaluate_all("all => all.map(({ value }) => value)") == [
        "Rosenbrock",
        "Beale",
    ]
    assert [page.locator(".playground").nth(k).locator(":checked[name=method]").count() for k in (0, 1)] == [
        7,
        1,
    ]
    assert page.locator("img").count() == 0, "the posters are replaced"
    assert complaints == []
    page.context.close()


def test_the_start_moves_by_arrow_keys_and_the_slide_behind_does_not(running, fragment):
    page, _ = opened(running, fragment)
    page.evaluate("document.addEventListener('keydown', ({ key }) => { window.heard = key; })")
    plane = page.get_by_role("application")
    plane.focus()
    assert "w1 = −1.2, w2 = 1." in plane.get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_function("document.querySelector('.pg-plane').ariaLabel.includes('w1 = −1.16, w2 = 1.2.')")
    assert page.evaluate("window.heard") is None
    page.context.close()


def test_the_start_follows_the_pointer_on_a_scaled_slide_too(running, fragment):
    scaled = f'<div style="width: 900px; transform: scale(0.8); transform-origin: 0 0">{fragment}</div>'
    page, _ = opened(running, scaled, viewport={"width": 1000, "height": 700})
    box = page.get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * 58, box["y"] + 0.8 * 8, steps=4)  # the upper left corner of the picture
    page.mouse.up()
    page.wait_for_function("document.querySelector('.pg-plane').ariaLabel.includes('w1 = −2, w2 = 3.')")
    page.context.close()


def test_a_new_surface_brings_its_start_and_reset_brings_the_old_one_back(running, fragment):
    page, _ = opened(running, fragment)
    page.get_by_label("Surface").select_option(label="Himmelblau")
    page.wait_for_function("document.querySelector('.pg-plane').ariaLabel.includes('w1 = −0.5, w2 = −0.8.')")
    page.get_by_role("checkbox", name="Adam", exact=True).uncheck()
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelector('.pg-plane').ariaLabel.includes('w1 = −1.2, w2 = 1.')")
    assert page.get_by_label("Surface").input_value() == "Rosenbrock"
    assert page.get_by_role("checkbox", name="Adam", exact=True).is_checked()
    page.context.close()


def test_the_outcome_is_said_in_words_best_first(running):
    page, _ = opened(running, as_html("optimizer", surface="quadratic", lr=0.5, methods=["SGD", "Adam"]))
    words = page.locator(".pg-readout").text_content()
    assert re.fullmatch(
        r"Loss above its minimum after 200 steps, best first: Adam [\d.]+ × 10⁻.; SGD diverged at step \d+\.",
        words,
    )
    page.get_by_label("Step that is shown").fill("0")
    page.wait_for_function("document.querySelector('.pg-readout').textContent.includes('after 0 steps')")
    assert "SGD 16; Adam 16" in page.locator(".pg-readout").text_content()
    page.context.close()


def test_play_walks_and_stops_at_the_end_and_shows_the_end_at_once_to_who_wants_no_motion(running):
    race = as_html("optimizer", steps=20)
    for motion in ("no-preference", "reduce"):
        page, _ = opened(running, race, reduced_motion=motion)
        page.get_by_label("Step that is shown").fill("0")
        seen = page.evaluate("""async () => {
          const seen = new Set(), slider = document.querySelector('[name="shown"]');
          document.querySelector('[name="play"]').click();
          const start = performance.now();
          while (performance.now() - start < 1500) {
            await new Promise(requestAnimationFrame);
            seen.add(Number(slider.value));
          }
          return [...seen];
        }""")
        assert seen[-1] == 20
        assert (len(seen) > 4) == (motion == "no-preference")
        assert page.get_by_role("button", name="Play").count() == 1
        page.context.close()


@pytest.mark.parametrize("width", [320, 640, 800, 1280])
def test_nothing_is_wider_than_the_page(running, width):
    page, _ = opened(running, as_html("optimizer", lr=1.0), viewport={"width": width, "height": 720})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    outside = page.evaluate("""() => [...document.querySelectorAll('.pg-sheet *')].filter((node) => {
      const { left, right } = node.getBoundingClientRect();
      return left < 0 || right > innerWidth;
    }).map((node) => node.outerHTML.slice(0, 80))""")
    assert outside == []
    page.context.close()


def test_canvases_have_a_pixel_for_every_pixel_of_the_screen(running, fragment):
    page, _ = opened(running, fragment, device_scale_factor=2)
    for plate in page.locator("canvas").all():
        assert plate.evaluate("plate => plate.width / plate.clientWidth") == pytest.approx(2.0, abs=0.01)
    page.context.close()


CORNER = "() => [...document.querySelector('.pg-plane').getContext('2d').getImageData(80, 20, 1, 1).data]"


def test_the_picture_follows_a_change_of_theme(running, fragment):
    page, _ = opened(running, fragment)
    light = page.evaluate(CORNER)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert sum(page.evaluate(CORNER)[:3]) < sum(light[:3]) - 300
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_there_are_no_barriers(running, packages, fragment, theme):
    page, complaints = opened(running, fragment, theme)
    page.evaluate((packages / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    assert page.evaluate(BARRIERS) == []
    assert complaints == []
    page.context.close()


FRAMES = """async () => {
  const slider = document.querySelector('[name="lr"]'), times = [], ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (draw) => ask((now) => {
    const start = performance.now();
    draw(now);
    times.push(performance.now() - start);
  });
  for (let k = 0; k < 60; k++) {
    slider.value = -3.5 + 0.01 * k;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => ask(() => ask(done)));
  }
  window.requestAnimationFrame = ask;
  return times;
}"""


def test_frames_with_seven_methods_and_200_steps_are_made_in_less_than_16_milliseconds(running, fragment):
    page, _ = opened(running, fragment, viewport={"width": 1280, "height": 720})
    repeats = [sorted(page.evaluate(FRAMES)) for _ in range(3)]
    assert min(len(times) for times in repeats) >= 30
    best = min(repeats, key=lambda times: times[-1])
    print(f"frames: median {best[len(best) // 2]:.1f} ms, largest {best[-1]:.1f} ms")
    # of sixty frames the largest is often one in which a shared machine did something else
    assert best[int(0.95 * len(best))] < 16.0
    page.context.close()


def test_a_figure_that_was_hidden_for_one_frame_is_drawn_afterwards(running, fragment):
    # JupyterLab does so while it changes its theme: no observer of sizes sees that anything has changed
    page, _ = opened(running, fragment)
    page.evaluate("""async () => {
      const main = document.querySelector("main");
      main.style.display = "none";
      document.documentElement.dataset.theme = "dark";
      await Promise.resolve();  // the figure asks for a frame, and gets it before this does
      await new Promise(requestAnimationFrame);
      main.style.display = "";
    }""")
    page.wait_for_function(f"({CORNER})().slice(0, 3).every((part) => part < 100)")
    page.context.close()
