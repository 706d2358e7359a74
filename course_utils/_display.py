"""Where does a record go: into the output of a cell, or onto the terminal?"""

import sys


def in_notebook() -> bool:
    """Return True in a kernel of Jupyter or Colab; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and shell.__class__.__name__ in {"ZMQInteractiveShell", "Shell"}


def show(record: object) -> None:
    """Display the record in a notebook, print its line elsewhere."""
    if in_notebook():
        sys.modules["IPython"].display.display(record)
    else:
        print(record)
