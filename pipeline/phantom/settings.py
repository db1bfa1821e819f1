"""What may be asked of the phantom. `None` everywhere means: drawn from the seed."""

from dataclasses import dataclass

from pipeline.errors import InvalidStudyError
from pipeline.study import InputKind, SequenceKind, State


@dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """Size and difficulty of a simulated study; what is None varies from seed to seed."""

    states: tuple[State, ...] = (State.REST, State.STRESS)
    n_slices: int = 3
    n_frames: int = 70
    matrix: int = 160
    """Rows and columns of the images."""
    spacing_mm: float | None = None
    field_strength_t: float | None = None
    """1.5 or 3."""
    sequence: SequenceKind | None = SequenceKind.SPOILED_GRADIENT_ECHO
    motion_mm: float | None = None
    """Largest in-plane displacement by breathing [mm]; 0: a perfect breath-hold."""
    contrast_to_noise: float | None = None
    """Peak rise of the myocardium over the SD of the noise; infinite: no noise."""
    mistrigger_share: float | None = None
    """Share of frames in the wrong cardiac phase."""
    disease: bool | None = None
    """Whether there are perfusion defects."""
    proton_density: bool | None = None
    """Whether proton-density weighted frames come first."""
    input_kind: InputKind | None = None
    """A separate input function series; None: none (this one is never drawn)."""
    input_proton_density: bool | None = None
    """Whether proton-density weighted frames come first in a dual-sequence series, too; None: in
    most studies whose slices have them."""
    exact_physics: bool = False
    """Whether the study knows body and scanner as they are, not as header and literature say."""
    fields: bool = False
    """Whether the truth holds the whole displacement field of every frame."""

    def __post_init__(self) -> None:
        if not 1 <= self.n_slices <= 5:
            raise InvalidStudyError(f"n_slices must lie in 1..5, is {self.n_slices}")
        if self.n_frames < 1 or self.matrix < 32:
            raise InvalidStudyError("n_frames must be positive and matrix at least 32")
        if self.field_strength_t not in (None, 1.5, 3.0):
            raise InvalidStudyError(f"field_strength_t is {self.field_strength_t}, not 1.5 or 3")
