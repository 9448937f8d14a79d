"""`sidecar store` and `sidecar migrate`."""

from sidecar.api.times import iso
from sidecar.bootstrap.offline import open_store, store_report
from sidecar.cli.errors import DONE
from sidecar.cli.finding import settings_for
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line, print_table, size


def show_store(place: Place, *, as_json: bool) -> int:
    """Say what the store holds."""
    report = store_report(settings_for(place).settings)
    oldest = None if report.oldest is None else iso(report.oldest)
    newest = None if report.newest is None else iso(report.newest)
    if as_json:
        print_json(
            {
                "backend": report.backend,
                "sizeBytes": report.size_bytes,
                "revision": report.revision,
                "latestRevision": report.latest,
                "tables": {table.table: table.rows for table in report.tables},
                "oldestSignalAt": oldest,
                "newestSignalAt": newest,
            }
        )
        return DONE
    print_line(f"{report.backend}, {size(report.size_bytes)}")
    behind = "" if report.revision == report.latest else f", behind {report.latest}: run `sidecar migrate`"
    print_line(f"schema revision {report.revision or 'none'}{behind}")
    print_line(f"signals from {oldest or '-'} to {newest or '-'}")
    print_table(("TABLE", "ROWS"), report.tables)
    return DONE


def migrate_store(place: Place, *, as_json: bool) -> int:
    """Apply the missing schema revisions."""
    store, applied = open_store(settings_for(place).settings)
    store.close()
    if as_json:
        print_json({"applied": applied})
    else:
        print_line(f"applied {', '.join(applied)}" if applied else "the schema is up to date")
    return DONE
