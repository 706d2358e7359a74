"""What maintainers run: execute the notebooks, refresh and validate their stored outputs, keep their form.

The `course` command of `course_utils.authoring.cli` is the way in. Nothing of the package that students read imports
this one, and of that package it uses at most `claims` and `seeding`.
"""
