"""The trained networks: their architecture and the regular grid that they see."""

from pipeline.networks.anatomy import AnatomyNetwork, Prediction, turned_copies
from pipeline.networks.grid import GRID_MM, SIDE, TIMES_S, at_times, from_grid, normalise, to_grid
from pipeline.networks.unet import CLASSES, N_TIMES, SpaceTimeUNet

__all__ = [
    "CLASSES",
    "GRID_MM",
    "N_TIMES",
    "SIDE",
    "TIMES_S",
    "AnatomyNetwork",
    "Prediction",
    "SpaceTimeUNet",
    "at_times",
    "from_grid",
    "normalise",
    "to_grid",
    "turned_copies",
]
