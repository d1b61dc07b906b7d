"""Do the verdicts hold? Simulations in worlds whose truth is known."""
