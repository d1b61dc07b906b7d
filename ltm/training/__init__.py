"""The training protocol: losses, optimisers, stopping, batches; and the loop that takes a pack of seed runs to a table of results."""
