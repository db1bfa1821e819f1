"""The DICOM node: network, disk and time around the pure `pipeline`."""
