"""The spool: folders, flushes and atomic moves. Every name is ours, none comes from a tag.

```
spool/instances/<day>/<32 hex digits>.part   on its way, or empty and waiting for an instance
                      <the same>.dcm         in its place, named by a row of the index
```

One flush keeps an instance. Files are made empty in advance and their folder is flushed, once for
many; so when an instance's bytes are flushed it has a durable name already. The change of the name
needs no flush of its own: after a power cut the file has the one name or the other, and its header
says by a digest whether it is whole. A reader never sees a torn file.
"""

from node.spool.file import BLOCK_BYTES, Buffer, SpoolFile
from node.spool.store import Spool

__all__ = ["BLOCK_BYTES", "Buffer", "Spool", "SpoolFile"]
