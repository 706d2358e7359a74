"""From a notebook to a lecture: one self-contained HTML deck, and its PDF. The notebook is the only source.

`blocks` decides what of a notebook is shown, `prose` what of a paragraph, `paging` lays it on slides, `deck` writes the
HTML with the JavaScript of `javascript` inside, and `browser` prints it; `make` does so for all.
"""
