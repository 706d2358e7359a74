"""Where do the images come from, and are they the ones the claims were measured on? Tensors in memory, hashes checked.

`load("mnist-5k")` answers at once and offline; the larger sets are looked for on this machine, then downloaded.
"""

from course_utils.datasets.catalog import NAMES, load
from course_utils.datasets.records import Dataset, Split
from course_utils.datasets.storage import DatasetUnavailableError

__all__ = ["NAMES", "Dataset", "DatasetUnavailableError", "Split", "load"]
