"""Long memory in words, tables and figures: of a series, and of what networks make of it."""
