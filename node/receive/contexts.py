"""What the node accepts: SOP classes and transfer syntaxes, the same list for scanner and PACS."""

from functools import cache

from pynetdicom.presentation import PresentationContext, build_context

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
LEGACY_CONVERTED_ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.4"
VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"

STORAGE_CLASSES = (MR_IMAGE, ENHANCED_MR_IMAGE, LEGACY_CONVERTED_ENHANCED_MR_IMAGE)

# All are kept as received; every one of them can be decoded later.
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # High-Throughput JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.202",  # the same with RPCL
    "1.2.840.10008.1.2.4.203",  # High-Throughput JPEG 2000
)


@cache  # which costs most of a negotiation
def supported_contexts() -> list[PresentationContext]:
    """Return the presentation contexts that are offered to every peer."""
    storage = [build_context(sop_class, list(TRANSFER_SYNTAXES)) for sop_class in STORAGE_CLASSES]
    little = list(TRANSFER_SYNTAXES[:2])
    commitment = build_context(STORAGE_COMMITMENT, little)
    # A scanner asks us (and is the SCU); a PACS reports to us (and is the SCP).
    commitment.scu_role = commitment.scp_role = True
    return [*storage, build_context(VERIFICATION, little), commitment]
