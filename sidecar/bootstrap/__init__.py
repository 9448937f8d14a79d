"""The composition root: the only place that knows all the others, and the only one that imports `exporters`.

    worker.py     a wire worker: forwarders, observer, journal
    recorder.py   the recorder's process: journal tail, use cases, store, exporters, admin API
    announcing.py the sinks a batch is announced to
    gauges.py     what the metrics read at scrape time, from journal pages and store

A worker never imports what only the recorder needs: nothing is re-exported here.
"""
