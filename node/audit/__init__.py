"""The audit trail by PS3.15 A.5: who sent what to whom, who was refused, when the node ran.

Every message goes to a local file at once. With a repository configured it also waits, durably, in
a folder until it was shipped there.
"""

from node.audit.messages import Party
from node.audit.trail import AuditTrail

__all__ = ["AuditTrail", "Party"]
