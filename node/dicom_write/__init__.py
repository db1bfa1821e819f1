"""Results as DICOM objects: one file an object, one function with few arguments to make it.

The same input, version and settings give the same identifiers and the same bytes.
"""

from node.dicom_write.earlier import make_replacing, read_earlier
from node.dicom_write.encode import encode_results, provenance_of
from node.dicom_write.files import write_results
from node.dicom_write.not_analysed import encode_not_analysed

__all__ = [
    "encode_not_analysed",
    "encode_results",
    "make_replacing",
    "provenance_of",
    "read_earlier",
    "write_results",
]
