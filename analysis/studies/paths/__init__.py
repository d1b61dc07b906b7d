"""Studies in which data were drawn several times: claims about a process from its paths, and how much is luck of the draw."""
