# Two commands matter: `make run` executes the course, `make test` checks it. Both make .venv first if it is missing.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
INSTALL ?= --editable ".[all]" --constraint $(CONSTRAINTS)
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

# The thread count changes the order of sums, hence the last digits: stored outputs are made and checked with one.
export OMP_NUM_THREADS := 1

# What bandit does not report: assert, of which tests/test_security.py allows those that tell mypy a type; and that a
# program is started at all, which it does of a list of arguments too. A shell, or a part of a path, is reported.
ALLOWED := B101,B404,B603

# The tests that ask for a tally.
FAULTS = $(wildcard tests/test_faults_*.py tests/test_fuzz*.py tests/test_bad_*.py tests/test_grading.py tests/test_training_*.py tests/test_properties*.py \
  tests/test_security*.py tests/test_sweeps_*.py tests/test_lab_browser.py tests/test_site_browser.py tests/test_slides_browser.py)

.PHONY: run test lab slides site student refresh bench coverage faults audit gpu full colab links clean

run: .venv/.stamp            ## execute every notebook into build/executed, two at a time
	$(BIN)/course run

test: .venv/.stamp           ## lint, types, unit tests, and every stored output
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --skip $(ALLOWED) --recursive course_utils
	$(BIN)/python -m pytest -n 2
	$(BIN)/course validate

# A server that runs code for whoever reaches it: this machine only, and with a token. A user's own Jupyter settings,
# which may switch either off, are not read. As root Jupyter does not start, and that is left so.
lab: export JUPYTER_CONFIG_DIR := $(CURDIR)/build/lab/config
lab: export JUPYTER_CONFIG_PATH :=
lab: .venv/.stamp            ## open the notebooks in JupyterLab, at a page that lists them
	$(BIN)/jupyter lab notebooks --ServerApp.ip=127.0.0.1 --LabApp.default_url=/lab/tree/START.md --LabApp.app_settings_dir=web/lab --LabApp.workspaces_dir=build/lab

slides: .venv/.stamp         ## lecture slides of every notebook into build/slides: HTML, and PDF where a browser is
	$(BIN)/course slides

site: .venv/.stamp           ## the website into build/site, from the stored outputs
	$(BIN)/course site

student: .venv/.stamp        ## the edition without solutions into build/student, from the stored outputs
	$(BIN)/course student

refresh: .venv/.stamp        ## rewrite the stored outputs from a clean run (a maintainer's act)
	$(BIN)/course refresh

bench: .venv/.stamp          ## time our code beside its peers (a missing one is skipped), as ratios
	-$(BIN)/python -m pip install --disable-pip-version-check -q --editable ".[bench]" --constraint $(CONSTRAINTS)
	$(BIN)/python benchmarks/run.py

faults: .venv/.stamp         ## every fault and bad input of the tests, in large numbers, counted in build/faults.json
	$(BIN)/python -c "import pathlib; pathlib.Path('build').mkdir(exist_ok=True)"
	$(BIN)/python -m pytest -n 2 --weekly --tally build/faults.json $(FAULTS)

audit: .venv/.stamp          ## known weaknesses of the installed packages; asks the advisory database, hence a network
	$(BIN)/python -m pip install --disable-pip-version-check -q "pip-audit>=2.9"
	$(BIN)/pip-audit --local --skip-editable --progress-spinner off

coverage: .venv/.stamp       ## unit tests with branch coverage of course_utils
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term-missing:skip-covered

gpu: .venv/.stamp            ## the package's GPU tests, every notebook and every stored output, with the GPU's tolerance
	$(BIN)/python -m pytest tests/test_gpu.py
	$(BIN)/course run --set device=cuda
	$(BIN)/course validate --set device=cuda --rtol 0.02

full: .venv/.stamp           ## the notebooks that take a data set, on Fashion-MNIST (downloaded if it is not at hand)
	$(BIN)/course run --set dataset=fashion-mnist

colab:                       ## the course with the package versions that Colab has
	$(MAKE) run CONSTRAINTS=.github/constraints/colab.txt \
	  INSTALL='--editable ".[run,sweep]" --requirement .github/constraints/colab.txt'

links: .venv/.stamp          ## every link of the notebooks and pages
	$(BIN)/python -m pip install -q --editable ".[links]"
	$(BIN)/python -m pytest -o addopts= --check-links README.md CONTRIBUTING.md data notebooks

.venv/.stamp: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q $(INSTALL)
	$(BIN)/python -c "import pathlib; pathlib.Path('.venv/.stamp').touch()"

clean:                       ## remove the environment and everything that was built
	$(PYTHON) -c "import shutil; [shutil.rmtree(p, ignore_errors=True) for p in ('.venv', 'build')]"
