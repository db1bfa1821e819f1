"""The contrast agent: which one, how much, and the dose."""

import re

from node.dicom_read.header import Header
from pipeline.relaxation import Agent

MOLARITY_MMOL_ML = {
    Agent.GADOBUTROL: 1.0,
    Agent.GADOTERATE: 0.5,
    Agent.GADOPENTETATE: 0.5,
    Agent.GADOBENATE: 0.5,
}
_WORDS = {
    Agent.GADOBUTROL: r"gadobutrol|gadovist|gadavist",
    Agent.GADOTERATE: r"gadoter|dotarem|clariscan|artirem|magnescope",
    Agent.GADOPENTETATE: r"gadopent|magnevist|gd.?dtpa",
    Agent.GADOBENATE: r"gadoben|multihance",
}
_CODES = {
    "407976008": Agent.GADOBUTROL,
    "712714000": Agent.GADOTERATE,
}
_LARGEST_MOLARITY = 2.0
"""IngredientConcentration is in mg/mL (PS3.3 C.7.6.4); a number this small can only be mmol/mL."""
PLAUSIBLE_DOSE_MMOL_KG = (0.003, 0.3)


def _items(header: Header) -> tuple[Header, ...]:
    """Return the header and the items in which multi-frame instances describe the agent."""
    return (header, *header.items("ContrastBolusAgentSequence"))


def named_agent(header: Header) -> Agent | None:
    """Return the contrast agent that the header names."""
    for item in _items(header):
        code = _CODES.get(item.text("CodeValue"))
        if code is not None:
            return code
        text = f"{item.text('ContrastBolusAgent')} {item.text('CodeMeaning')}"
        for agent, pattern in _WORDS.items():
            if re.search(pattern, text, re.IGNORECASE):
                return agent
    return None


def injected_ml(header: Header) -> float | None:
    """Return the volume of undiluted agent [mL]; TotalDose is undiluted, Volume may not be."""
    for keyword in ("ContrastBolusTotalDose", "ContrastBolusVolume"):
        for item in _items(header):
            volume = item.number(keyword)
            if volume is not None and volume > 0:
                return volume
    return None


def molarity_mmol_ml(header: Header, agent: Agent) -> float:
    """Return the concentration of the agent [mmol/mL]: the header's where it is molar."""
    for item in _items(header):
        value = item.number("ContrastBolusIngredientConcentration")
        if value is not None and 0 < value <= _LARGEST_MOLARITY:
            return value
    return MOLARITY_MMOL_ML[agent]


def dose_mmol_kg(header: Header, agent: Agent) -> float | None:
    """Return the dose [mmol/kg]: volume [mL] times concentration [mmol/mL] over weight [kg]."""
    volume = injected_ml(header)
    weight_kg = header.number("PatientWeight")
    if volume is None or weight_kg is None or weight_kg <= 0:
        return None
    return volume * molarity_mmol_ml(header, agent) / weight_kg
