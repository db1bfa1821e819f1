"""Parametric Maps in 32-bit floats (PS3.3 A.75): the numbers, with coded quantity and unit."""

from collections.abc import Callable
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from node.dicom_write import codes
from node.dicom_write.overlay import (
    add_frame_anatomy,
    finish_overlay,
    frame_content,
    without_patient,
)
from node.dicom_write.provenance import Provenance
from node.dicom_write.stacks import AnalysedPass, Stack
from node.pictures import FLOW_RANGE_ML_MIN_G
from pipeline.result import SliceResult
from pipeline.study import FloatArray, State

NO_VALUE = 0.0
"""Stored outside the myocardium and where the fit gave no number, and declared as padding."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a map shows."""

    what: str
    """Names the object's identifiers."""
    values: Callable[[SliceResult], FloatArray | None]
    """The map of a slice [row, column]; NaN where there is no number, None: there is no map."""
    title: str
    kind: int
    explanation: str
    code: Code
    unit: Code
    unit_text: str
    display: tuple[float, float]
    """Lowest and highest value of the window."""
    statistic: Code | None = None
    largest: float = 1000.0
    """That can be stored."""
    derivation: Code = codes.PERFUSION_ANALYSIS
    of_flow: bool = True
    """Found by a kinetic model, and only in the myocardium."""


MBF = Quantity(
    what="mbf",
    values=lambda one: one.maps.mbf_ml_min_g,
    title="MBF",
    kind=3,
    explanation="Myocardial blood flow [mL/min/g]",
    code=codes.BLOOD_FLOW,
    unit=codes.ML_MIN_G,
    unit_text="mL/min/g",
    display=FLOW_RANGE_ML_MIN_G,
)
MBF_SD = Quantity(
    what="mbf-sd",
    values=lambda one: one.maps.mbf_sd_ml_min_g,
    title="MBF SD",
    kind=5,
    explanation="Standard deviation of myocardial blood flow [mL/min/g]",
    code=codes.BLOOD_FLOW,
    unit=codes.ML_MIN_G,
    unit_text="mL/min/g",
    display=(0.0, 1.0),
    statistic=codes.STANDARD_DEVIATION,
)
WALL = Quantity(
    what="wall",
    values=lambda one: one.regions.wall_probability,
    title="LV wall",
    kind=6,
    explanation="Probability of left ventricular myocardium",
    code=codes.PROBABILITY,
    unit=codes.NO_UNITS,
    unit_text="probability",
    display=(0.0, 1.0),
    largest=1.0,
    derivation=codes.SEGMENTATION,
    of_flow=False,
)


def has_map(stack: Stack, quantity: Quantity) -> bool:
    """Whether every slice has a map of the quantity."""
    return all(quantity.values(one) is not None for one in stack.slices)


def encode_parametric_map(
    analysed: AnalysedPass,
    stack_number: int,
    reference: list[Dataset],
    quantity: Quantity,
    provenance: Provenance,
) -> Dataset:
    """Make the map of one quantity, which every slice has, on the reference series."""
    stack = analysed.stacks[stack_number]
    maps = [each for one in stack.slices if (each := quantity.values(one)) is not None]
    stored = np.stack(maps).astype(np.float32)
    stored[~np.isfinite(stored)] = NO_VALUE
    low, high = quantity.display
    parametric_map = hd.pm.ParametricMap(
        source_images=without_patient(reference),
        pixel_array=stored,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            real_world_mapping(quantity, analysed.result.model, (0.0, quantity.largest), slope=1.0)
        ],
        voi_lut_transformations=[
            hd.VOILUTTransformation(window_center=(low + high) / 2, window_width=high - low)
        ],
        content_description=f"{quantity.title} {analysed.label} {quantity.unit_text}"[:64],
        derivation=quantity.derivation,
        **frame_content(
            provenance,
            series=(analysed.label, quantity.what, stack_number),
            series_number=provenance.series_number(analysed.number, quantity.kind),
            label=quantity.title,
        ),
    )
    finish_overlay(
        parametric_map,
        provenance,
        stack,
        f"{quantity.title} {analysed.label}{analysed.part(stack_number)} "
        f"[{quantity.unit_text}] RESEARCH",
    )
    _order_along_normal(parametric_map, stack.planes[0].geometry.normal)
    add_frame_anatomy(parametric_map)
    _complete(parametric_map, analysed.result.state)
    if quantity.of_flow:
        parametric_map.FloatPixelPaddingValue = NO_VALUE
        parametric_map.FloatPixelPaddingRangeLimit = NO_VALUE
    return parametric_map


def _complete(parametric_map: Dataset, state: State) -> None:
    """Set what the library does not."""
    parametric_map.Modality = "MR"
    parametric_map.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    context = patient_state(state)
    if context is not None:
        parametric_map.AcquisitionContextSequence = [context]


def _order_along_normal(parametric_map: Dataset, normal: FloatArray) -> None:
    """Put the frames in ascending order along the slice normal.

    The library puts them in descending order, and dcmqi 1.5.7 (3D Slicer reads maps by it) takes
    frames as they come while it places the first at the lowest position: a volume upside down.
    """
    frames = list(parametric_map.PerFrameFunctionalGroupsSequence)
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    order = np.argsort(np.asarray(positions, dtype=float) @ normal)
    shape = (len(frames), parametric_map.Rows, parametric_map.Columns)
    stored = np.frombuffer(parametric_map.FloatPixelData, dtype="<f4").reshape(shape)
    parametric_map.FloatPixelData = stored[order].tobytes()
    parametric_map.PerFrameFunctionalGroupsSequence = [frames[index] for index in order]
    for number, index in enumerate(order, start=1):
        frames[index].FrameContentSequence[0].DimensionIndexValues = [number]


def real_world_mapping(
    quantity: Quantity, model: str, value_range: tuple[float, float], slope: float
) -> hd.pm.RealWorldValueMapping:
    """Map stored values to the quantity (PS3.3 C.7.6.16.2.11), with method and site coded."""
    mapping = hd.pm.RealWorldValueMapping(
        lut_label=quantity.title,
        lut_explanation=quantity.explanation,
        unit=quantity.unit,
        value_range=value_range,
        slope=slope,
        intercept=0.0,
        quantity_definition=quantity.code,
    )
    further = [(codes.FINDING_SITE, codes.LV_MYOCARDIUM)]
    if quantity.of_flow:
        further.insert(0, (codes.MEASUREMENT_METHOD, codes.model(model)))
    if quantity.statistic is not None:
        further.append((codes.DERIVATION, quantity.statistic))
    mapping.QuantityDefinitionSequence = [
        *mapping.QuantityDefinitionSequence,
        *(hd.sr.CodeContentItem(name=name, value=value) for name, value in further),
    ]
    return mapping


def patient_state(state: State) -> Dataset | None:
    """Say rest or stress (an item of Acquisition Context Sequence, PS3.3 C.7.6.14)."""
    if state not in codes.STATE:
        return None
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = [codes.item(codes.PATIENT_STATE)]
    item.ConceptCodeSequence = [codes.item(codes.STATE[state])]
    return item
