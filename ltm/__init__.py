"""ltm: seed sweeps of recurrent cells that are trained as lanes of one program."""

__version__ = "0.2.0"
