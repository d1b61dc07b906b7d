"""Speed, as ratios measured side by side in one run. Never run by the tests."""
