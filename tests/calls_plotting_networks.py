"""Calls of the figures of what is inside a network: plotting.activations, layers, normalization, noise and graphs."""

from drawing import LEFT_OUT, REALS, SEEDS, TEXTS, axes, drawing, grid
from fuzzing import Call

from course_utils import autodiff
from course_utils.plotting import activations, graphs, layers, noise, normalization

LINE = [1.0, 1.5, 2.0]
RUNS = [[2.0, 1.5, 1.2], [2.1, 1.6, 1.0]]
TABLE = [[1.0, -1.0], [0.5, 2.0], [0.0, 0.1]]


def small_graph():
    """Return the graph of a product."""
    w, x = autodiff.Variable(2.0, "w"), autodiff.Variable(3.0, "x")
    return autodiff.graph(w * x)


GRAPH = small_graph()

CALLS = [
    drawing(activations.plot_number_formats, lambda: {"formats": {"float16": (-7.2, -4.2, 4.8),
                                                      "b": (-9.0, -5.0, 9.0)},
                                                      "claimed": {"float16": (-5.0, 5.0)}, "xlabel": "decades",
                                                      "ax": axes()},
            {"claimed": (*LEFT_OUT, *REALS)}),
    drawing(activations.plot_log_growth, lambda: {"logs": RUNS, "predicted": (LINE, [0.1, 0.2, 0.3]),
                                                  "lines": {"a": LINE}, "limit": ("top", 5.0), "num_shown": 1,
                                                  "ylabel": "decades", "ax": axes()},
            {"logs": (*SEEDS, *REALS), "predicted": (*REALS, "None"), "lines": (*LEFT_OUT, *REALS, "other key"),
             "limit": (*TEXTS, "None"), "num_shown": ("0",)}),
    drawing(activations.plot_shares, lambda: {"x": LINE, "measured": {"dead": [0.1, 0.2, 0.3]},
                                              "predicted": (LINE, [0.1, 0.2, 0.3]), "xlabel": "x", "ylabel": "y",
                                              "log_x": True, "ax": axes()},
            {"measured": ("other key", "entry 0.0"), "predicted": ("None",)}),
    drawing(activations.plot_activation_gallery, lambda: {"x": LINE, "curves": {"ReLU": (LINE, LINE),
                                                          "a": (LINE, LINE)},
                                                          "columns": 2, "axes": grid(2)},
            {"x": REALS, "curves": (*REALS, "key missing", "other key"), "axes": ("entry twice",)}),
    drawing(activations.plot_compositions, lambda: {"x": LINE, "rows": {"a": [LINE, LINE]}, "columns": ["one", "two"],
                                                    "notes": {"a": ["b", "c"]}, "xlabel": "t", "axes": grid(2)},
            {"x": REALS, "rows": REALS, "columns": TEXTS, "notes": (*TEXTS, "None")}),
    drawing(layers.plot_layer_profiles, lambda: {"measured": {"He": RUNS, "a": RUNS}, "predicted": {"He": LINE},
                                                 "target": 1.5, "ylabel": "variance", "xlabel": "layer",
                                                 "log_x": False,
                                                 "ax": axes()},
            {"measured": SEEDS, "predicted": LEFT_OUT, "target": ("None",)}),
    drawing(layers.plot_layer_distributions, lambda: {"rows": {"He": [LINE, RUNS]}, "columns": ["one", "two"],
                                                      "predicted_std": {"He": [1.0, 2.0]}, "xlabel": "z",
                                                      "axes": grid(2)},
            {"rows": (*SEEDS, *REALS), "columns": TEXTS, "predicted_std": (*LEFT_OUT, "entry 0.0")}),
    drawing(layers.plot_unit_images, lambda: {"rows": {"He": [RUNS, RUNS]}, "title": "unit", "axes": grid(2)},
            {"rows": (*REALS, "other key")}),
    drawing(layers.plot_gains, lambda: {"std": LINE, "gains": {"ReLU": LINE, "tanh": LINE},
                                        "torch_gains": {"ReLU": 1.4},
                                        "ax": axes()},
            {"gains": REALS, "torch_gains": (*LEFT_OUT, *REALS)}),
    drawing(normalization.plot_against, lambda: {"positions": LINE, "runs": {"plain": RUNS}, "xlabel": "factor",
                                                 "ylabel": "norm", "predicted": {"formula": LINE},
                                                 "reference": ("guessing", 1.0), "log_y": True, "ax": axes()},
            {"runs": (*SEEDS, "other key"), "predicted": (*LEFT_OUT, "other key"), "reference": (*TEXTS, "None")}),
    drawing(normalization.plot_equilibrium, lambda: {"norms": {"a": RUNS, "b": RUNS}, "angles": {"a": RUNS,
                                                     "b": RUNS},
                                                     "predicted_angle": 0.1, "axes": grid(2)},
            {"norms": SEEDS, "angles": SEEDS}),
    drawing(normalization.plot_matrices, lambda: {"matrices": {"a": TABLE, "b": TABLE}, "statistics": {"a": "column"},
                                                  "axes": grid(2)},
            {"matrices": (*SEEDS, *REALS), "statistics": ("empty", "key missing")}),
    drawing(normalization.plot_clipping, lambda: {"grads": TABLE, "by_value": TABLE, "by_norm": TABLE, "limit": 1.0,
                                                  "axes": grid(2)},
            {"grads": REALS, "by_value": REALS, "by_norm": REALS}),
    drawing(noise.plot_input_gradients, lambda: {"x": LINE, "gradients": {"plain": {"depth 1": LINE,
                                                 "depth 9": LINE}},
                                                 "xlabel": "x"},
            {"x": REALS, "gradients": (*REALS, "other key", "entry key missing", "entry other key")}),
    drawing(noise.plot_autocorrelation, lambda: {"depths": [1, 2, 3], "measured": {"plain": [[0.9, 0.8, 0.7]]},
                                                 "predicted": {"plain": [0.9, 0.8, 0.6]}, "num_points": 256,
                                                 "ylabel": "autocorrelation", "ax": axes()},
            {"measured": (*REALS, "entry twice"), "predicted": (*LEFT_OUT, *REALS), "num_points": ("None",)}),
    Call(graphs.layered_layout, lambda: {"graph": GRAPH}),
    drawing(graphs.plot_computation_graph, lambda: {"graph": GRAPH, "ax": axes()}),
    drawing(graphs.plot_memory, lambda: {"bytes_by_bar": {"a": {"weights": 2**20}, "b": {"weights": 2**21}},
                                         "predicted": {"a": 1e6, "b": 2e6}, "ax": axes()},
            {"bytes_by_bar": ("entry other key", "entry 0"), "predicted": ("None", "entry 0.0")}),
    drawing(graphs.plot_step_error, lambda: {"steps": [1e-3, 1e-2, 1e-1], "errors": {"forward": [1e-4, 1e-5, 1e-3]},
                                             "predicted": {"formula": [1e-4, 1e-5, 1e-3]}, "best": 1e-2,
                                             "ax": axes()},
            {"errors": ("other key", "entry 0.0"), "predicted": (*LEFT_OUT, "other key"), "best": ("None",)}),
]  # fmt: skip
EXEMPT: dict[str, str] = {}
WEIGHT = 0.5  # a figure takes ten times as long as a formula
