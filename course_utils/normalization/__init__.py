r"""Does normalizing remove the initialization problem? Batch, layer and RMS normalization written out, and clipping.

One idea in three directions: subtract a mean, divide by a root mean square, give scale and shift back as parameters
:math:`\gamma, \beta`. BatchNorm takes both over the examples of a batch, LayerNorm over the units of one example,
RMSNorm only divides. The functions are pure: the forward ones return what their backward needs, and each backward is
written out by hand. The modules are thin shells; autograd differentiates them, and tests hold both gradients equal.

Two conventions are torch's and not obvious. Activations are divided by the BIASED variance (1/B), so that a batch comes
out with variance 1, while the running variance remembers the UNBIASED one (1/(B-1)), because it estimates that of the
data. And `momentum` = 0.1 is the weight of the NEW value, the opposite of an optimizer's.
"""

from course_utils.normalization.clipping import clip_by_norm, clip_by_value
from course_utils.normalization.functions import (
    BatchNormSaved,
    LayerNormSaved,
    RMSNormSaved,
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    running_average,
)
from course_utils.normalization.layers import BatchNorm1d, LayerNorm, MovingNoise, RMSNorm

__all__ = [
    "BatchNorm1d",
    "BatchNormSaved",
    "LayerNorm",
    "LayerNormSaved",
    "MovingNoise",
    "RMSNorm",
    "RMSNormSaved",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_inference",
    "clip_by_norm",
    "clip_by_value",
    "layer_norm",
    "layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
    "running_average",
]
