"""The demonstration: the whole loop on this machine, with real peers where they are installed."""
