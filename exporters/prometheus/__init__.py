"""Prometheus metrics, all fed by the recorder from the journal, so that what they say equals the audit.

    catalogue    every metric: name, type, labels, help, buckets
    tables       counters and histograms by label values, each with a bound
    instances    the counters of single instances: the one unbounded label, bounded here
    exchanges    durations, outcomes and failures of exchanges
    messages     which reports of a message came first
    inputs       what is read at scrape time, given by the composition root
    scraped      collectors of those inputs
    seeds        label sets that exist from the start
    metrics      the registry and the recorder's way in

Counters and histograms are tables of our own, shown through the client library's collectors: the library's
children can be neither bounded nor removed safely (a removed child goes on counting where nobody sees it),
and cost three times as much.
"""
