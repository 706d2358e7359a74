"""What is each rule for? Tasks on which rules differ, and walks of all rates and seeds at once, for a fair contest.

Unusual here: a walk sees a rule only through its formula at lr = 1. Every formula of the course is proportional to a
constant rate, so that one tensor [rates, seeds, ...] holds a whole tuning grid.
"""

from course_utils.contests.tasks import Task, make_bowl, make_network, make_words, pool
from course_utils.contests.walks import walk

__all__ = ["Task", "make_bowl", "make_network", "make_words", "pool", "walk"]
