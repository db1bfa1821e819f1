"""Why a first pass cannot be analysed: each class is a sentence that a radiologist understands."""


class PipelineError(Exception):
    """The first pass cannot be analysed."""


class InvalidStudyError(PipelineError):
    """An input value is outside what the method can work with."""


class TooFewFramesError(PipelineError):
    """The series has too few frames to contain a first pass."""


class NoBolusError(PipelineError):
    """No passage of contrast agent through the heart was found."""


class NoHeartError(PipelineError):
    """The heart was not found in the images."""


class NoMyocardiumError(PipelineError):
    """The left ventricular myocardium could not be outlined."""


class NoInputFunctionError(PipelineError):
    """No usable arterial input function was found in the left ventricle."""
