"""How does a program know its own gradient? Reverse mode over NumPy arrays, small enough to be read in one sitting.

Read in this order: `engine` (the walk back), `variable` (operators), `functions`, `records` (graph and memory).

>>> W, x = Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "W"), Variable([1.0, -1.0], "x")
>>> tanh(W @ x).sum().backward()
>>> W.grad.shape
(3, 2)
"""

from course_utils.autodiff.engine import Node, Pull, topological_order, unbroadcast
from course_utils.autodiff.functions import cross_entropy, exp, log, relu, sigmoid, squared_norm, tanh
from course_utils.autodiff.records import StoredArray, graph, stored_arrays, stored_bytes
from course_utils.autodiff.variable import Variable, as_variable, record

__all__ = [
    "Node",
    "Pull",
    "StoredArray",
    "Variable",
    "as_variable",
    "cross_entropy",
    "exp",
    "graph",
    "log",
    "record",
    "relu",
    "sigmoid",
    "squared_norm",
    "stored_arrays",
    "stored_bytes",
    "tanh",
    "topological_order",
    "unbroadcast",
]
