"""The demo: both ends of the traffic simulated, the sidecar between them as real processes.

    dispatcher simulator --API--> sidecar --> provider simulator      (five instances, five fates)
    dispatcher simulator <------- sidecar <-- callbacks, with retries

`fates` says what befalls an instance and `turbozap` how TurboZap spells it; both are pure. `provider` and
`dispatcher` are the simulators, also commands of their own. `run` puts the sidecar between them; `child` is
its process, `reading` asks its admin listener, `table` shows what it answers. Nothing here knows what a
signal is.
"""
