"""The spool: folders, flushes and atomic moves. Every name is ours, none comes from a tag.

```
spool/instances/<day>/<32 hex digits>.dcm    an instance, whole; or empty, waiting for one
                      <the same>.part        a long one on its way
```

One flush keeps an instance. Files are made empty in advance and their folder is flushed, once for
many; so when an instance's bytes are flushed it has its durable name already. They go to the disk
in one direct write, before which the file has no length; so it is empty or whole, and is renamed
only where it must be written in pieces. After a power cut its header says by a digest whether it is
whole. A reader, who knows files by the index, never sees a torn one.
"""

from node.spool.file import BLOCK_BYTES, Buffer, SpoolFile
from node.spool.store import Spool

__all__ = ["BLOCK_BYTES", "Buffer", "Spool", "SpoolFile"]
