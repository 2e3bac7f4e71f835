"""unblind report."""

from __future__ import annotations

from pathlib import Path


def report(*folders: Path, out: Path = Path("report.html")) -> None:
    """Make an HTML report of finished runs.

    Example: `unblind report blind after --out report.html`

    Args:
        folders: quickstart or evaluation folders, and training runs for their curves. Evaluations of the same
            samples are compared in this order.
        out: the HTML file.
    """
    from unblind.errors import DatasetError
    from unblind.report import write_report

    if not folders:
        raise DatasetError("no folder named; write: unblind report DIR...")
    print(write_report(out, folders))
