"""How is it trained? One readable loop for the whole course, an honest evaluation, and a resume that is exact.

Beside the loop: `logs` writes a run as CSV, JSON and TensorBoard events, `symptoms` watches one, `doctor` says what is
wrong with it, and `published` reads the runs of others.
"""

from course_utils.training.checkpoints import CheckpointWarning, load_checkpoint, save_checkpoint
from course_utils.training.containers import CheckpointError
from course_utils.training.doctor import Finding, examine
from course_utils.training.evaluation import evaluate, has_fast_bfloat16
from course_utils.training.loop import train
from course_utils.training.records import Diverged, EpochRecord, Evaluation, History
from course_utils.training.symptoms import Recorder, Symptoms

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "Diverged",
    "EpochRecord",
    "Evaluation",
    "Finding",
    "History",
    "Recorder",
    "Symptoms",
    "evaluate",
    "examine",
    "has_fast_bfloat16",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]
