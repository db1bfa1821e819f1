"""Quantitative first-pass perfusion: arrays and physical parameters in, arrays and reasons out.

Nothing in this package knows DICOM, files, sockets, clocks or global randomness: the same input
gives the same output.
"""
