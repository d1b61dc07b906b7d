"""Parts about the figures that papers print."""
