"""What goes on inside trained networks: how errors flow back through them, and the loss around their weights."""
