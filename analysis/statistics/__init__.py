"""Statistics over arrays, a file a question. Pure functions; smaller errors are better; +inf is a seed that diverged."""
