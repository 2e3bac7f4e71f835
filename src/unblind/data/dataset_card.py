"""The dataset card: README.md of a dataset folder, from which `datasets` takes splits and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData

from unblind.data.mixture import Mixture
from unblind.data.sources import find
from unblind.tasks.base import Task
from unblind.tasks.splits import Split

_TEMPLATE = Path(__file__).with_name("dataset_card.md.j2")
_FOLDER = "path/to/this/folder"  # what a card calls the dataset until it has a name on the hub
_FOREIGN = """\
---
{{ card_data }}
---

# {{ pretty_name }}

Splits: {{ splits }}. Whoever made it has not described it yet.

```python
from datasets import load_dataset

dataset = load_dataset("{{ repo }}")
```
"""


def dataset_card(mixture: Mixture, sizes: Mapping[Split, int], folder_columns: Mapping[str, str]) -> str:
    """The text of README.md.

    Args:
        mixture: what the dataset is made of.
        sizes: bytes of each split's files, of the splits that have rows.
        folder_columns: of the metadata.csv, if the dataset is an image folder.
    """
    tasks = mixture.tasks
    title = "What vision-language models overlook"
    if len(tasks) == 1:
        title = tasks[0].pictures or tasks[0].title
    rows = {split: mixture.options.rows[split] for split in sizes}
    layout, columns = mixture.options.layout, mixture.columns
    if layout == "imagefolder":  # `datasets` shows `file_name` as the image
        own = {name: columns.get(source, "string") for name, source in folder_columns.items()}
        columns = {"image": "image", **own}
    card = DatasetCard.from_template(
        _card_data(title, layout, columns, rows, sizes),
        str(_TEMPLATE),
        title=title,
        tasks=tasks,
        rows=rows,
        layout=layout,
        columns=list(columns)[1:],
        meanings={name: text for name, text in _meanings(tasks).items() if name in columns},
        remarks=mixture.remarks if mixture.options.preset == "blindtest" else (),
        leaks=_leaks(mixture),
        location=_FOLDER,
    )
    return f"{card}\n"


def _card_data(
    title: str, layout: str, columns: Mapping[str, str], rows: Mapping[Split, int], sizes: Mapping[Split, int]
) -> DatasetCardData:
    pattern = "data/{}-*.parquet" if layout == "parquet" else "{}/**"
    more: dict[str, Any] = {
        "tags": ["unblind", "synthetic", "BlindTest"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": pattern.format(split)} for split in rows],
            }
        ],
        "dataset_info": {
            "features": [{"name": column, "dtype": dtype} for column, dtype in columns.items()],
            "splits": [
                {"name": split, "num_bytes": sizes[split], "num_examples": count}
                for split, count in rows.items()
            ],
            "dataset_size": sum(sizes.values()),
        },
    }
    return DatasetCardData(
        license="mit",
        language=["en"],
        task_categories=["visual-question-answering"],
        pretty_name=title,
        size_categories=[_size(sum(rows.values()))],
        **more,
    )


def _meanings(tasks: Sequence[Task[Any]]) -> dict[str, str]:
    """What the tasks' columns hold; where it is not the same, for each of them."""
    told: dict[str, dict[str, list[str]]] = {}
    for task in tasks:
        for column, meaning in task.meanings.items():
            told.setdefault(column, {}).setdefault(meaning, []).append(task.name)
    return {
        column: "; ".join(
            f"{meaning} ({', '.join(names)})" if len(meanings) > 1 else meaning
            for meaning, names in meanings.items()
        )
        for column, meanings in told.items()
    }


def _leaks(mixture: Mixture) -> list[str]:
    """The columns whose values stand in the questions, though a question can do without them."""
    leaks: dict[str, None] = {}
    for one in mixture.components:
        asked = " ".join(one.task.question(prompt, {}) for prompt in one.prompts)
        texts = [prompt.text for prompt in one.task.prompts.values()]
        for name in one.task.own_columns:
            if f"{{{name}}}" in asked and not all(f"{{{name}}}" in text for text in texts):
                leaks[f"the {name}"] = None
    return list(leaks)


def published_card(folder: Path, repo: str) -> str:
    """The card of a dataset folder as the repository `repo` on the hub shows it: with its name there.

    A dataset without README.md gets a short one. Raises DatasetError as `find` does.
    """
    path = folder / "README.md"
    if path.is_file():
        return path.read_text("utf-8").replace(f'"{_FOLDER}"', f'"{repo}"')
    data = DatasetCardData(
        task_categories=["visual-question-answering"],
        pretty_name=repo.rpartition("/")[2],
        tags=["unblind"],
    )
    card = DatasetCard.from_template(data, template_str=_FOREIGN, splits=", ".join(find(folder)), repo=repo)
    return f"{card}\n"


def _size(count: int) -> str:
    """The hub's name for a number of rows."""
    if count < 1_000:
        return "n<1K"
    if count < 10_000:
        return "1K<n<10K"
    return "10K<n<100K" if count < 100_000 else "100K<n<1M" if count < 1_000_000 else "n>1M"
