"""Calls of the figures of landscapes: plotting.surfaces, slices, spectra, stability and phase, for the fuzzer."""

import numpy as np
from drawing import GAPS, LEFT_OUT, REALS, SEEDS, TEXT, TEXTS, axes, drawing, grid

from course_utils.plotting import phase, slices, spectra, stability, surfaces

LINE = [1.0, 1.5, 2.0]
RUNS = [[2.0, 1.5, 1.2], [2.1, 1.6, 1.0]]
GRID = np.arange(1.0, 7.0).reshape(3, 2)

CALLS = [
    drawing(surfaces.plot_contour, lambda: {"w1": LINE, "w2": [0.0, 1.0], "losses": GRID,
                                            "paths": {"SGD": np.array([[1.0, 0.0], [1.5, 0.5]])},
                                            "points": {"minimum": [(1.0, 0.0)]}, "levels": 5, "labels": ("a", "b"),
                                            "unit": "loss", "legend_loc": "upper left", "ax": axes()},
            {"w1": REALS, "w2": REALS, "losses": ("negative",), "paths": (*LEFT_OUT, "other key",
             "entry one row fewer", "entry nan", "entry inf", "entry negative"), "points": (*LEFT_OUT, *REALS,
             "other key", "entry twice"), "labels": TEXTS, "unit": (*TEXT, "None")}),
    drawing(surfaces.plot_contour, lambda: {"w1": LINE, "w2": [0.0, 1.0], "losses": GRID, "levels": [1.0, 2.0, 3.0]},
            {"w1": REALS, "w2": REALS, "losses": ("negative",), "levels": (*REALS, "entry missing")}),
    drawing(surfaces.plot_surface, lambda: {"w1": LINE, "w2": [0.0, 1.0], "losses": GRID,
                                            "paths": {"SGD": np.array([[1.0, 0.0, 3.0], [1.5, 0.5, 2.0]])},
                                            "view": (30.0, -60.0), "opacity": 0.8, "ax": axes("3d")},
            {"w1": REALS, "w2": REALS, "losses": ("negative",), "paths": (*LEFT_OUT, "other key",
             "entry one row fewer", "entry nan", "entry inf", "entry negative"), "view": REALS}),
    drawing(surfaces.plot_outcomes, lambda: {"x": LINE, "y": [0.1, 1.0],
                                             "outcomes": np.array([[0, 1], [-1, 0], [1, 1]]),
                                             "names": ["left", "right"], "labels": ("a", "b"), "limits": {"lr": 0.5},
                                             "points": [(1.0, 0.5)], "log_y": True, "legend": True,
                                             "elsewhere": "nowhere", "ax": axes()},
            {"x": REALS, "names": (*TEXTS, "entry twice"), "labels": TEXTS, "limits": (*LEFT_OUT, "other key"),
             "points": (*SEEDS, *REALS, "empty")}),
    drawing(surfaces.plot_share, lambda: {"lrs": LINE, "shares": {"SGD": [1.0, 0.5, 0.0], "a": [1.0, 0.5, 0.0]},
                                          "limits": {"SGD": 1.2}, "ylabel": "share", "ax": axes()},
            {"shares": ("entry 0.0",), "limits": LEFT_OUT}),
    drawing(slices.plot_profiles, lambda: {"t": LINE, "profiles": {"a": RUNS, "b": LINE}, "dotted": {"a": RUNS},
                                           "dotted_name": "held out", "predicted": {"a": LINE},
                                           "predicted_name": "formula", "marks": {"start": 1.0}, "xlabel": "t",
                                           "ylabel": "loss", "ax": axes()},
            {"t": REALS, "profiles": (*SEEDS, *REALS), "dotted": (*LEFT_OUT, *SEEDS, *REALS),
             "predicted": (*LEFT_OUT, *REALS), "marks": (*LEFT_OUT, *REALS, "other key")}),
    drawing(spectra.plot_ritz_values, lambda: {"ritz_values": [[1.0], [1.0, 2.0]], "exact": LINE, "tolerance": 1e-3,
                                               "ax": axes()},
            {"ritz_values": (*SEEDS, *REALS), "exact": (*SEEDS, *REALS), "tolerance": ("0.0",)}),
    drawing(spectra.plot_density, lambda: {"grid": LINE, "densities": {"a": [0.1, 0.2, 0.1], "b": [0.1, 0.2, 0.1]},
                                           "outliers": {"a": [1.9]}, "exact": {"a": [0.1, 0.2, 0.1]}, "lowest": 1e-5,
                                           "ax": axes()},
            {"grid": REALS, "densities": ("entry 0.0",), "outliers": (*LEFT_OUT, *REALS, "entry twice"),
             "exact": (*LEFT_OUT, *REALS)}),
    drawing(spectra.plot_errors, lambda: {"products": [1, 2, 3], "errors": {"a": RUNS}, "predicted": {"a": LINE},
                                          "ylabel": "error", "ax": axes()},
            {"products": ("entry 0", "entry 0.5"), "errors": (*SEEDS, *GAPS, "entry 0.0"), "predicted": LEFT_OUT}),
    drawing(spectra.plot_top_eigenvalues, lambda: {"steps": [0, 40], "eigenvalues": np.ones((2, 2, 3)), "limit": 20.0,
                                                   "ax": axes()},
            {"steps": ("entry 0", "entry 0.5"), "eigenvalues": ("one row fewer",), "limit": ("None",)}),
    drawing(stability.plot_rates, lambda: {"lrs": LINE, "predicted": {"SGD": [0.5, 0.1, 0.5]},
                                           "measured": {"SGD": (LINE, LINE)}, "limits": {"SGD": 2.0}, "ax": axes()},
            {"lrs": ("entry 0.0",), "predicted": REALS, "measured": (*LEFT_OUT, "entry 0.0"), "limits": LEFT_OUT}),
    drawing(stability.plot_attractor, lambda: {"lrs": LINE, "visits": RUNS, "predicted": (LINE, LINE), "limit": 1.5,
                                               "name": "SGD", "ylabel": "w1", "ax": axes()},
            {"visits": (*SEEDS, *REALS, *GAPS), "predicted": ("None",), "limit": ("None",)}),
    drawing(stability.plot_final_sharpness, lambda: {"lrs": LINE, "sharpness": RUNS, "lowest": 2.0, "name": "SGD",
                                                     "ax": axes()},
            {"sharpness": (*SEEDS, *GAPS), "lowest": ("None",)}),
    drawing(stability.plot_sharpness, lambda: {"steps": [0, 1, 2], "sharpness": {0.1: RUNS}, "losses": {0.1: RUNS},
                                               "loss_name": "loss", "axes": grid(2)},
            {"steps": ("entry 0", "entry 0.5"), "sharpness": (*SEEDS, *REALS), "losses": (*SEEDS, *GAPS)}),
    drawing(phase.plot_phase_diagram, lambda: {"sigma_w2": LINE, "sigma_b2": [0.5, 1.5], "chi": [LINE, LINE],
                                               "edge": (LINE, LINE), "points": {"Xavier": (1.0, 0.5)},
                                               "names": {"order": (1.0, 1.0)}, "title": "tanh", "ax": axes()},
            {"sigma_w2": REALS, "sigma_b2": REALS, "edge": REALS, "points": (*LEFT_OUT, *REALS, "other key"),
             "names": (*LEFT_OUT, *REALS, "other key")}),
]  # fmt: skip
EXEMPT: dict[str, str] = {}
WEIGHT = 0.5  # a figure takes ten times as long as a formula
