"""What printed text becomes: vectors and the assembler of the CPU, the numbers of a GPU's threads."""
