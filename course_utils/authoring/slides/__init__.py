"""From a notebook to a lecture: one self-contained HTML deck, and its PDF.

`lecture` decides what of a notebook is said, `blocks` are its pieces, `paging` lays them on slides, `deck` writes the
HTML with the JavaScript of `javascript` inside, and `pdf` prints it. The notebook is the only source.
"""
