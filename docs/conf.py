"""How Sphinx builds the documentation. Warnings are errors, and nothing is fetched from the network."""

from sphinx.application import Sphinx

from pool import __version__

project = "twinpool"
author = "twinpool contributors"
version = release = __version__
copyright = "twinpool contributors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"twinpool {release}"
html_copy_source = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Docstrings say in words what types do not.
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# What we link to in our own packages must be there. The rest of the world is not looked up.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!pool\.(aio|sync|monitoring|errors|event_loggers|logger)\b).*"),
]


def no_type(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Keep napoleon from taking what stands before a colon for the type of a property."""
    if what in ("attribute", "data", "property"):
        lines[:1] = [f": {line}" for line in lines[:1]]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", no_type, priority=100)
