"""config.yaml as frozen, typed settings: unknown keys are errors, all problems reported at once.

Every field has a default that works on one machine, so an empty file is a valid configuration
that receives and analyses but delivers nowhere.
"""

from node.config.file import Config, Logging, load_config, with_rest_systolic
from node.config.network import (
    Archive,
    Audit,
    Delivery,
    Destination,
    Receive,
    Retrieve,
    Sender,
    Status,
    Tls,
)
from node.config.study import Analysis, Completion, ObjectKind, ProtocolPhysics, Results, Storage

__all__ = [
    "Analysis",
    "Archive",
    "Audit",
    "Completion",
    "Config",
    "Delivery",
    "Destination",
    "Logging",
    "ObjectKind",
    "ProtocolPhysics",
    "Receive",
    "Results",
    "Retrieve",
    "Sender",
    "Status",
    "Storage",
    "Tls",
    "load_config",
    "with_rest_systolic",
]
