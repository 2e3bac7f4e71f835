"""Write docs/numbers.json, the measured figures of README, docs and cards, and put them into these pages.

python docs/make_numbers.py quickstart=unblind-quickstart drawn.blind=blind

NAME=FOLDER reads FOLDER/metrics.json; runs that are not named keep their figures. On a page, a figure stands
between two comments: <!-- n:quickstart.after.restricted -->98.7 % (97.8–99.2)<!-- -->. A page may show all of
it, its value (98.7 %) or its interval (97.8–99.2); a new figure takes the form of the old one. The script
prints what it changes on the pages: read the sentences around it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unblind.errors import UnblindError
from unblind.scoring.published import best_published, model_name
from unblind.tasks.registry import TASKS

ROOT = Path(__file__).parents[1]
NUMBERS = ROOT / "docs" / "numbers.json"
PAGES = ("*.md", "docs/*.md", "src/unblind/tiny/*/README.md")
MARK = re.compile(r"<!-- n:(?P<name>\S[^>]*?) -->(?P<shown>[^<]*)<!-- -->")

# What can be measured, and the command that does it.
RUNS = {
    "quickstart": "unblind quickstart --out DIR",
    "twin": "unblind quickstart --model tiny-unmarked --out DIR",
    "acknowledgement.blind": "unblind evaluate --data FILE --out DIR",
    "acknowledgement.after": "unblind evaluate --data FILE --adapter RUN --out DIR",
    # DATA is made by: unblind generate --preset blindtest --task all --out DATA
    "drawn.blind": "unblind evaluate --data DATA --out DIR",
    "drawn.after": "unblind evaluate --data DATA --adapter RUN --out DIR",
}
_LEFT_OUT = {"rules", "errors", "calibration"}
_BREAKDOWNS = {"font"}
# drawn.blind.grid.restricted, not drawn.blind.tasks.grid.accuracy.restricted
_UNNAMED = {"accuracy", "tasks", "by"}


def main(arguments: list[str]) -> None:
    """Read the runs, write the figures, and show what changes on the pages."""
    if not arguments or any("=" not in argument for argument in arguments):
        raise UnblindError(f"give NAME=FOLDER, with a name of {', '.join(RUNS)}")
    numbers = json.loads(NUMBERS.read_text("utf-8")) if NUMBERS.exists() else {}
    for name, folder in (argument.split("=", 1) for argument in arguments):
        if name not in RUNS:
            raise UnblindError(f"{name}: no such run; take one of {', '.join(RUNS)}, or add it to RUNS")
        metrics = json.loads((Path(folder) / "metrics.json").read_text("utf-8"))
        numbers[name] = {"command": RUNS[name], "figures": dict(figures(metrics))}
    numbers["published"] = {"command": "unblind.scoring.published", "figures": dict(published())}
    text = json.dumps(dict(sorted(numbers.items())), ensure_ascii=False, indent=1)
    NUMBERS.write_text(text + "\n", "utf-8")
    for page in pages():
        old = page.read_text("utf-8")
        page.write_text(renewed(old, known(numbers), page.name), "utf-8")


def figures(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The figures of a metrics.json by name, as the pages show them."""
    for key, value in metrics.items():
        if key in _LEFT_OUT or value is None or isinstance(value, str | list):
            continue
        name = prefix if key in _UNNAMED else f"{prefix}{key}"
        if not isinstance(value, Mapping):
            yield name, _number(key, value)
        elif "value" in value:
            yield name, _share(value)
            if "n" in value:
                yield f"{name}.right", f"{round(value['value'] * value['n']):,} of {value['n']:,}"
        else:
            inner = {trait: value[trait] for trait in value if key != "by" or trait in _BREAKDOWNS}
            yield from figures(inner, name if key in _UNNAMED else f"{name}.")


def published() -> Iterator[tuple[str, str]]:
    """The best published result of each task."""
    for task in TASKS:
        if best := best_published(task):
            yield task, f"{best.percent:.1f} % {model_name(best.model)}"


def _number(key: str, value: float) -> str:
    """A count, a time, or a share without an interval."""
    if key == "seconds":
        minutes, seconds = divmod(round(value), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    if key.endswith("per_second"):
        return f"{value:.0f}"
    return f"{value:,}" if isinstance(value, int) else f"{100 * value:.1f} %"


def _share(value: Mapping[str, float]) -> str:
    """A share with its interval."""
    return f"{100 * value['value']:.1f} % ({100 * value['low']:.1f}–{100 * value['high']:.1f})"


def known(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Every figure by its whole name, such as quickstart.after.restricted."""
    return {
        f"{run}.{name}": text for run, entry in numbers.items() for name, text in entry["figures"].items()
    }


def forms(figure: str) -> tuple[str, ...]:
    """All ways to show a figure: whole, its value, its interval."""
    value, _, interval = figure.partition(" (")
    return (figure, value, interval.rstrip(")")) if interval else (figure,)


def pages() -> list[Path]:
    """The pages with figures."""
    return [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def renewed(text: str, figures_by_name: Mapping[str, str], page: str) -> str:
    """A page with the figures of today, each in the form that it had; prints those that change."""

    def put(mark: re.Match[str]) -> str:
        name, old = mark["name"], mark["shown"]
        if name not in figures_by_name:
            raise UnblindError(f"{page}: no figure is called {name}; docs/numbers.json has all names")
        new = forms(figures_by_name[name])
        form = 0 if "(" in old or len(new) == 1 or not old else 1 if "%" in old else 2
        if new[form] != old:
            print(f"{page}: {name}: {old} -> {new[form]}")
        return f"<!-- n:{name} -->{new[form]}<!-- -->"

    return MARK.sub(put, text)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UnblindError as error:
        sys.exit(f"make_numbers.py: {error}")
