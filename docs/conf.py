"""Settings of the site: ``make docs`` builds it without network, and a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

from dawnchorus import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "dawnchorus"
author = "The dawnchorus developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # our docstrings have the Google form
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "code_reference",  # ours: the pages of commands and configs, made from the code
]
exclude_patterns = ["_build"]
highlight_language = "none"  # a block without a language is no Python
default_role = "code"  # in docstrings, `x` is code, as it is on the pages

html_theme = "furo"
html_title = f"dawnchorus {release}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#1d6b57", "color-brand-content": "#1d6b57"},
    "dark_css_variables": {"color-brand-primary": "#6fcfb0", "color-brand-content": "#6fcfb0"},
}

myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 3  # a link may name any heading of a page
myst_links_external_new_tab = False
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autoclass_content = "both"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
maximum_signature_line_length = 88
