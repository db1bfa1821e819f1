"""The durable engine behind a thin port: start a key, cancel it, ask for it.

Our own tables are the truth about studies and deliveries; the engine only drives. Losing its
database loses no work: the reconciler starts again whatever the tables say is not finished.
"""

from node.engine.durable import Engine, Lane, Progress, Work

__all__ = ["Engine", "Lane", "Progress", "Work"]
