"""The report of a study: words, tables and figures, and one page of them."""
