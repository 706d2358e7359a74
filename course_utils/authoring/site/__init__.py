"""The website: Sphinx over the stored outputs, with pages made from the notebooks, the ledger and the docstrings.

`pages` writes what is generated, `stage` gathers it beside the notebooks and the sources under site/, and `make` runs
Sphinx. Nothing is executed, and no page asks another machine for anything.
"""
