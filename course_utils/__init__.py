"""Why deep networks train: the helper package of the course. Import what you need from its modules, in layers.

0. `_checks` argument errors that teach; `_types` arguments checked against their annotations; `_display` cell or
   terminal; `_files` the old whole or the new whole; `_seals` answers locked with themselves; `seeding` generators
   instead of a global seed; `devices` where it runs; `claims` every number is a check; `exercises` checks that say
   which mistake was made; `_given` whose error it is when a function that was passed in fails
1. `gradcheck` finite differences; `autodiff` reverse mode on NumPy arrays; `initializers` the start; `phase` what many
   wide layers make of it; `optimizers` the step; `objectives` surfaces with known minima; `normalization` and
   `regularization` written out; `calibration` does a probability mean what it says; `intervals` how sure a comparison
   is, `ranks` over many tasks; `datasets` images in memory, hashes checked
2. `models` multilayer perceptrons; `probes` activations and gradients, without a trace; `landscapes` lines, planes and
   trajectories; `curvature` Hessian-vector products and Lanczos; `contests` what each optimizer is for
3. `training` the loop, evaluation, exact resume
4. `sweeps` many configurations at once, on one machine or a cluster; `speedrun` one network against the clock

Beside them: `plotting` draws records and imports none of these; `playgrounds` are figures that answer at once, in a
notebook or on a page; `authoring` is what maintainers run (`course`).
"""

__version__ = "0.1.0"
