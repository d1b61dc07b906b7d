"""How packs are trained: in this process or by Ray."""
