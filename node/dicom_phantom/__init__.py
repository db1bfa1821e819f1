"""Writes simulated studies as DICOM files in the dialects of the vendors, with their truth."""

from node.dicom_phantom.siemens import siemens_datasets
from node.dicom_phantom.truth import write_truth

__all__ = ["siemens_datasets", "write_truth"]
