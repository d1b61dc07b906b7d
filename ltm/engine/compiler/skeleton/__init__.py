"""What kernels contain around their printed programs: in common, of one long series, and of batches of sequences."""
