"""The DICOM node: network, disk and time around the pure `pipeline`."""

__version__ = "0.1.0"
