"""The site: ``make docs`` builds it from the Markdown pages, and the API from the docstrings."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import ltm

project = "ltm"
author = copyright = "the ltm authors"
version = release = ltm.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
add_module_names = False
highlight_language = "shell"

html_theme = "furo"
html_title = f"ltm {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
