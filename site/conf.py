"""The website: Sphinx over the stored outputs of the notebooks. `course site` stages the sources and runs it."""

from docutils import nodes

from course_utils import __version__
from course_utils.authoring.site.docstrings import to_rst

project = "Why Deep Networks Train"
author = "The authors of Why Deep Networks Train"
version = release = __version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
]
nb_execution_mode = "off"  # what the reader sees is what `course refresh` stored
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
mathjax_path = "tex-svg-full.js"  # a copy in _static: no formula waits for a network
mathjax3_config = {"tex": {"tags": "none"}, "options": {"enableMenu": False}}
nb_ipywidgets_js = {}
autodoc_typehints = "none"  # the signatures have them
autodoc_member_order = "bysource"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_copy_source = True
html_sourcelink_suffix = ""
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
}
copybutton_exclude = ".linenos, .gp, .go"
exclude_patterns = ["README.md", "student"]  # the copies to download are no pages


def setup(app):
    """Read our docstrings as they are written, and our formulas."""

    def convert(app, what, name, obj, options, lines):
        lines[:] = (
            to_rst(lines) if (getattr(obj, "__module__", None) or name).startswith("course_utils") else []
        )

    def skip(app, what, name, obj, skip, options):
        return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None

    def stand_alone(app, doctree):
        """Sphinx puts formulas of several lines into a `split`, in which no number may stand: these need none."""
        for formula in doctree.findall(nodes.math_block):
            if r"\tag{" in (text := formula.astext()):
                formula["no-wrap"] = True
                formula[:] = [nodes.Text(rf"\[{text}\]")]

    app.connect("doctree-read", stand_alone)
    app.connect("autodoc-process-docstring", convert)
    app.connect("autodoc-skip-member", skip)
