"""The edge: the only modules that touch descriptors, clocks and signals."""
