"""The parts of a report, a file a question."""
