"""Every coded concept that the results carry, in one table, with its context group (PS3.16).

DCM, SCT and UCUM codes are the standard's; concepts for which no standard code was found carry the
private scheme `99PERFNODE`, declared in each object that uses it.
"""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from pipeline.reserve import Territory
from pipeline.study import State

SCHEME: Final = "99PERFNODE"

# Quantities: CID 4108, 7180; units: CID 83, 7181; statistics: CID 7464
BLOOD_FLOW: Final = Code("126390", "DCM", "Absolute Regional Blood Flow")
PROBABILITY: Final = Code("110854", "DCM", "Fractional Probabilistic Segmentation")
PERFUSION_RESERVE: Final = Code("MPR", SCHEME, "Myocardial Perfusion Reserve")
PERFUSION_RESERVE_CORRECTED: Final = Code(
    "MPRCORR", SCHEME, "Myocardial Perfusion Reserve, rest at 10000 mmHg/min"
)
ENDO_EPI_RATIO: Final = Code("ENDOEPI", SCHEME, "Endocardial to epicardial blood flow ratio")
PIXEL_DIFFERENCE: Final = Code("PIXDIFF", SCHEME, "Blood flow by pixels less by mean curve")
ISCHAEMIC_EXTENT: Final = Code("429162008", "SCT", "Extent of myocardial stress ischemia")
THRESHOLD: Final = Code("THRESHOLD", SCHEME, "Configured threshold of ischemia")
HEART_RATE: Final = Code("8867-4", "LN", "Heart rate")
SYSTOLIC_PRESSURE: Final = Code("271649006", "SCT", "Systolic blood pressure")
RATE_PRESSURE_PRODUCT: Final = Code("122708", "DCM", "Double Product")
PERCENT: Final = Code("%", "UCUM", "Percent")
PER_MINUTE: Final = Code("{H.B.}/min", "UCUM", "beats per minute")
MMHG: Final = Code("mm[Hg]", "UCUM", "mmHg")
MMHG_PER_MINUTE: Final = Code("mm[Hg]/min", "UCUM", "mmHg per minute")
ML_MIN_G: Final = Code("ml/min/g", "UCUM", "Milliliter/minute/gram")
NO_UNITS: Final = Code("1", "UCUM", "no units")
RATIO: Final = Code("{ratio}", "UCUM", "ratio")
MEAN: Final = Code("373098007", "SCT", "Mean")
STANDARD_DEVIATION: Final = Code("386136009", "SCT", "Standard Deviation")
MEDIAN: Final = Code("373099004", "SCT", "Median")

# Concept names of the quantity definition: CID 9000
MEASUREMENT_METHOD: Final = Code("370129005", "SCT", "Measurement Method")
FINDING_SITE: Final = Code("363698007", "SCT", "Finding Site")
DERIVATION: Final = Code("121401", "DCM", "Derivation")

# Kinetic models: CID 4101 and 4105 where the standard has one
_MODELS: Final = {
    "fermi": Code("FERMI", SCHEME, "Fermi function constrained deconvolution"),
    "2cxm": Code("126347", "DCM", "Two Compartment Exchange (2CX) Model"),
    "btex": Code("BTEX", SCHEME, "Blood-tissue exchange model"),
    "model-free": Code("MODELFREE", SCHEME, "Model-free deconvolution"),
}


def model(name: str) -> Code:
    """Return the code of a kinetic model; a name not in the table gets a private one."""
    return _MODELS.get(name) or Code("MODEL", SCHEME, f"Kinetic model {name}"[:64])


# Anatomy: CID 3717 (AHA segments), CID 12305 (myocardium), CID 7191 (blood)
HEART: Final = Code("80891009", "SCT", "Heart")
LEFT_VENTRICLE: Final = Code("87878005", "SCT", "Left ventricle")
RIGHT_VENTRICLE: Final = Code("53085002", "SCT", "Right ventricle")
LV_MYOCARDIUM: Final = Code("49848007", "SCT", "Left Ventricle Myocardium")
BLOOD: Final = Code("87612001", "SCT", "Blood")
ENDOCARDIAL: Final = Code("304059001", "SCT", "endocardial")  # CID 3843
EPICARDIAL: Final = Code("261073003", "SCT", "epicardial")
INSERTION_ANTERIOR: Final = Code("RVIPA", SCHEME, "Anterior right ventricular insertion point")
INSERTION_INFERIOR: Final = Code("RVIPI", SCHEME, "Inferior right ventricular insertion point")
AHA: Final = {
    1: Code("264850008", "SCT", "left ventricle basal anterior segment"),
    2: Code("396482007", "SCT", "left ventricle basal anteroseptal segment"),
    3: Code("396646008", "SCT", "left ventricle basal inferoseptal segment"),
    4: Code("264846001", "SCT", "left ventricle basal inferior segment"),
    5: Code("396652009", "SCT", "left ventricle basal inferolateral segment"),
    6: Code("396654005", "SCT", "left ventricle basal anterolateral segment"),
    7: Code("264848000", "SCT", "left ventricle mid anterior segment"),
    8: Code("396647004", "SCT", "left ventricle mid anteroseptal segment"),
    9: Code("396649001", "SCT", "left ventricle mid inferoseptal segment"),
    10: Code("264847005", "SCT", "left ventricle mid inferior segment"),
    11: Code("396655006", "SCT", "left ventricle mid inferolateral segment"),
    12: Code("396656007", "SCT", "left ventricle mid anterolateral segment"),
    13: Code("264844003", "SCT", "left ventricle apical anterior segment"),
    14: Code("264845002", "SCT", "left ventricle apical septal segment"),
    15: Code("264849008", "SCT", "left ventricle apical inferior segment"),
    16: Code("264853005", "SCT", "left ventricle apical lateral segment"),
}

# Coronary arteries: CID 3015
ARTERY: Final = {
    Territory.LAD: Code("59438005", "SCT", "Left Anterior Descending Coronary Artery"),
    Territory.RCA: Code("13647002", "SCT", "Right Coronary Artery"),
    Territory.LCX: Code("57396003", "SCT", "Circumflex Coronary Artery"),
}


def aha_name(segment: int) -> str:
    """Name an AHA segment as people do: ``AHA 07 mid anterior``."""
    meaning = AHA[segment].meaning.removeprefix("left ventricle ").removesuffix(" segment")
    return f"AHA {segment:02d} {meaning}"


# Categories of segmented properties: CID 7150
ANATOMICAL_STRUCTURE: Final = Code("91723000", "SCT", "Anatomical Structure")
TISSUE: Final = Code("85756007", "SCT", "Tissue")

# Patient state: CID 3101
PATIENT_STATE: Final = Code("109054", "DCM", "Patient State")
RESTING: Final = Code("128975004", "SCT", "Resting State")
CARDIAC_STRESS: Final = Code("432655005", "SCT", "Cardiac Stress State")
STATE: Final = {State.REST: RESTING, State.STRESS: CARDIAC_STRESS}

# Derivation CID 7203, purpose of reference CID 7202, equipment CID 7005, algorithm family CID 7162
PERFUSION_ANALYSIS: Final = Code("129104", "DCM", "Perfusion image analysis")
SEGMENTATION: Final = Code("113076", "DCM", "Segmentation")
SOURCE_IMAGE: Final = Code("121322", "DCM", "Source image for image processing operation")
ACQUISITION_EQUIPMENT: Final = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")

# Document titles CID 7021 and 7000, sections CID 7001, procedures CID 3757
PERFUSION_REPORT: Final = Code("126002", "DCM", "Dynamic Contrast MR Measurement Report")
IMAGING_REPORT: Final = Code("18748-4", "LN", "Diagnostic imaging report")
PROCEDURE: Final = Code("431609005", "SCT", "Cardiac MRI stress")
FINDINGS_SECTION: Final = Code("121070", "DCM", "Findings")
FINDING: Final = Code("121071", "DCM", "Finding")
RECOMMENDATIONS_SECTION: Final = Code("121074", "DCM", "Recommendations")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
COMMENT: Final = Code("121106", "DCM", "Comment")
RECOMMENDATION: Final = Code("121075", "DCM", "Recommendation")

# Replaced results: CID 7009, 7010, 7011, TID 2010
REPLACED_REPORT: Final = Code("121360", "DCM", "Replaced report")
REJECTED: Final = Code("113001", "DCM", "Rejected for Quality Reasons")
TITLE_MODIFIER: Final = Code("113011", "DCM", "Document Title Modifier")
OTHER_FAILURE: Final = Code("111220", "DCM", "Other failure")  # none says "incomplete"
KEY_OBJECT_DESCRIPTION: Final = Code("113012", "DCM", "Key Object Description")
SOURCE: Final = Code("260753009", "SCT", "Source")


def item(code: Code) -> Dataset:
    """Write a concept as an item of a code sequence."""
    dataset = Dataset()
    dataset.CodeValue = code.value
    dataset.CodingSchemeDesignator = code.scheme_designator
    dataset.CodeMeaning = code.meaning
    return dataset


def private_scheme() -> Dataset:
    """Declare the private scheme (Coding Scheme Identification Sequence, PS3.3 C.12.1)."""
    dataset = Dataset()
    dataset.CodingSchemeDesignator = SCHEME
    dataset.CodingSchemeName = "Codes of perfusion-node"
    dataset.CodingSchemeResponsibleOrganization = "perfusion-node"
    return dataset
