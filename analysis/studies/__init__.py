"""Questions about a study, one a file: tables from its conditions and their errors."""
