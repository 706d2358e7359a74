"""How does Python hold the initialization playground? As a widget whose traits are the network it shows."""

from typing import Any

from course_utils.playgrounds import _initialization
from course_utils.playgrounds._page import module
from course_utils.playgrounds._widget import PlaygroundWidget

# isort: split
# after the widgets they share, whose error says what to install where this is missing
import traitlets


class InitializationPlayground(PlaygroundWidget):
    """Choose a start and see every layer's signal and gradient; Python sees and sets the same network.

    Args:
        state: any of the traits; the rest is the playground's default. `depth` in 2..50 layers; `width` in 8..256
            units; `activation`, a key of `course_utils.playgrounds._initialization.GAIN_OF`; `start`, a key of its
            `STARTS`; `gain` in [0.02, 4], the standard deviation of the weights times the root of the width, which
            counts where `start` is "gain"; `seed`, a whole number of 32 bits.
    Raises: ValueError: if a value is out of range. Set later, a wrong value raises traitlets.TraitError with the same
        words, and the trait keeps what it had.
    """

    playground = "initialization"
    _esm = module("initialization")

    depth = traitlets.Int().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    activation = traitlets.Unicode().tag(sync=True)
    gain = traitlets.Float().tag(sync=True)
    start = traitlets.Unicode().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    @traitlets.validate("depth", "width", "activation", "gain", "start", "seed")
    def _checked(self, proposal: Any) -> Any:
        """Refuse with a TraitError, on which traitlets undoes whatever else came in the same message."""
        try:
            _initialization.check(proposal["trait"].name, proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from error
        return proposal["value"]
