"""The picture of results/scaling.svg: four costs against size, beside the lines that theory draws."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from records import Growth

from course_utils.plotting._base import STYLE

MARKERS = ("o", "s", "^", "D")  # the four are told apart without colour too


def draw_growth(growths: Sequence[Growth], path: Path) -> None:
    """Write the costs over sizes, both in units of the smallest, on logarithmic axes; the same bytes for the same data.

    Args:
        growths: one to four.
        path: of the SVG file. Its words stay text, so that they can be read aloud and searched.
    """
    with plt.style.context([STYLE, {"svg.hashsalt": "scaling", "svg.fonttype": "none"}]):
        fig, ax = plt.subplots(figsize=(8, 5))
        for growth, marker in zip(growths, MARKERS, strict=False):
            relative = [size / growth.sizes[0] for size in growth.sizes]
            label = f"{growth.what}: {growth.exponent:.2f} (theory {growth.theory:g})"
            ax.plot(relative, growth.costs, linewidth=0, marker=marker, markersize=7, label=label)
        longest = max(growth.sizes[-1] / growth.sizes[0] for growth in growths)
        for slope in sorted({growth.theory for growth in growths}):
            ax.plot([1, longest], [1, longest**slope], color="0.4", linestyle="--", linewidth=1.2, zorder=1)
            ax.annotate(f"slope {slope:g}", (longest, longest**slope), xytext=(6, 0),
                        textcoords="offset points", va="center", color="0.3", fontsize=10)  # fmt: skip
        ax.set(xscale="log", yscale="log", xlim=(0.8, 2.5 * longest), xlabel="size, in units of the smallest",
               ylabel="cost, in units of the smallest",
               title="How costs grow: measured (marks) and in theory (dashed)")  # fmt: skip
        ax.legend(loc="upper left", title="exponent, fitted")
        fig.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(fig)
