"""Studies that a site has annotated: images as DICOM, outlines as DICOM Segmentation."""

from node.annotated.drawings import AnnotationError
from node.annotated.examples import annotated_examples

__all__ = ["AnnotationError", "annotated_examples"]
