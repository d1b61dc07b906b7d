"""Parts of a report on data that were drawn several times."""
