"""What happens if I move it? Figures that answer at once: as a widget in a notebook, as plain HTML without a kernel.

`as_html` gives a fragment that needs no network and no Python once it is written; the widgets let Python see and set
the same state. Both run the same JavaScript module, which a test keeps equal to the package's own formulas.
"""

from typing import TYPE_CHECKING, Any

from course_utils.playgrounds._page import as_html

if TYPE_CHECKING:
    from course_utils.playgrounds._initialization_widget import InitializationPlayground
    from course_utils.playgrounds._widget import OptimizerPlayground

__all__ = ["InitializationPlayground", "OptimizerPlayground", "as_html"]

_WIDGETS = {
    "InitializationPlayground": "course_utils.playgrounds._initialization_widget",
    "OptimizerPlayground": "course_utils.playgrounds._widget",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is asked for: the base install has no anywidget."""
    if name not in _WIDGETS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WIDGETS[name]), name)
