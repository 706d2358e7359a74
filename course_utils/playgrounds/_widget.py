"""How does Python hold a playground? As a widget whose traits are the state that the figure shows.

`PlaygroundWidget` is what they share: the module, the style, and checks that say rule, value and way out whoever sets a
trait. Only what ipywidgets 7 and 8 have in common is used, as Colab has 7.
"""

from typing import Any, ClassVar

from course_utils.playgrounds import _optimizer
from course_utils.playgrounds._page import PLAYGROUNDS, module, style

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError(
        "The playground widgets need anywidget, which is not installed: pip install 'course-utils[lab]'. "
        "course_utils.playgrounds.as_html works without it."
    ) from error


class PlaygroundWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """A playground in a live notebook.

    A subclass sets `playground` to its key in `PLAYGROUNDS`, `_esm` to its module, and declares the state as traits
    with `.tag(sync=True)`.
    """

    playground: ClassVar[str]
    _css = style()

    def __init__(self, **state: Any) -> None:
        super().__init__(**PLAYGROUNDS[self.playground].complete(state))


class OptimizerPlayground(PlaygroundWidget):
    """Race the optimizers on a surface; Python sees and sets where they start and how they walk.

    Args:
        state: any of the traits; the rest is what suits the surface. `surface` is a key of
            `course_utils.playgrounds._optimizer.SURFACES`; `start` (w1, w2); `lr` of SGD and both momentums, in w^2 per
            unit of loss; `lr_adaptive` of AdaGrad, RMSProp and Adam, in units of w; `momentum` (μ, and β₁); `beta2`;
            `steps`; `methods`, names of rules.
    Raises: ValueError: if a value is out of range. Set later, a wrong value raises traitlets.TraitError with the same
        words, and the trait keeps what it had.
    """

    playground = "optimizer"
    _esm = module("optimizer")

    surface = traitlets.Unicode().tag(sync=True)
    start = traitlets.Tuple(traitlets.Float(), traitlets.Float()).tag(sync=True)
    lr = traitlets.Float().tag(sync=True)
    lr_adaptive = traitlets.Float().tag(sync=True)
    momentum = traitlets.Float().tag(sync=True)
    beta2 = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    methods = traitlets.List(traitlets.Unicode()).tag(sync=True)

    @traitlets.validate("surface", "start", "lr", "lr_adaptive", "momentum", "beta2", "steps", "methods")
    def _checked(self, proposal: Any) -> Any:
        """Refuse with a TraitError, on which traitlets undoes whatever else came in the same message."""
        try:
            _optimizer.check(proposal["trait"].name, proposal["value"], surface=self.surface)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from error
        return proposal["value"]

    @traitlets.observe("surface")
    def _stay_inside(self, change: Any) -> None:
        """Move a start that the new surface does not show to where that surface's races begin."""
        if not _optimizer.inside(self.start, change["new"]):
            self.start = _optimizer.SURFACES[change["new"]].start
