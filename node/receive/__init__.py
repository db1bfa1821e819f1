"""The Storage and Verification SCP: an instance is safe on disk and recorded, then the status.

It runs as a process of its own, without torch, numpy or the pipeline, so that no analysis can
stall it.
"""
