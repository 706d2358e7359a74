"""From a notebook to an assignment: stubs without their solutions, checks that do not tell the answer.

`assignment` turns a notebook of the course into nbgrader's source form, `release` cuts the solutions out with
nbgrader's own preprocessors, `make` writes the student edition, or a folder that nbgrader can grade from.

What comes back is graded by `grade`: `contain` runs a submission, `walls` stand around it, `inside` is what runs there.
"""
