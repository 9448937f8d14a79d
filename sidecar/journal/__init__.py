"""The journal: the durable log between the traffic and everything else.

Every start of a worker makes one *folder*, `<data_dir>/journal/w<index>-<start ms>-<pid>/`:

    00000001.seg ...   append-only segments of checksummed records (`layout`)
    owner              locked by the worker for its whole life
    page               counters and gauges of the worker, shared memory (`page`)

Only its worker writes a folder (`writer`), and never a folder it did not make: a torn end can therefore
only exist where the owner is gone. The one recorder reads all folders (`tail`, over `reader` and `folder`),
deletes segments once their position is stored, and removes a folder when its owner is gone and all of it is
accounted. `audit` inspects, verifies and repairs the same files offline. What cannot be read is linked into
`<data_dir>/quarantine/`, never deleted.
"""
