"""The status page and the metrics: read only, no patient data, a process of its own."""
