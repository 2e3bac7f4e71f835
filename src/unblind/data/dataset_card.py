"""The dataset card: README.md of a dataset folder, from which `datasets` takes splits and columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from huggingface_hub import DatasetCardData

from unblind.data.sources import find
from unblind.tasks.splits import Split

_TEXT = """\
# Words with one letter circled

Which letter is being circled? Drawn by `unblind generate`; `settings.json` says how.
The words and the font families of each split occur in no other split.

| split | images |
| --- | --- |
{table}

```python
from datasets import load_dataset

dataset = load_dataset("{place}")
```
{notes}
Limits: horizontal printed words of Latin letters on plain backgrounds, with one ellipse each; no photographs,
no handwriting, no other scripts. The words are as their list has them, sifted by nothing but their letters.
Licence: MIT.
"""
_PLACE = "path/to/this/folder"
_FOREIGN = """\
# {name}

Splits: {splits}. Whoever made it has not described it yet.

```python
from datasets import load_dataset

dataset = load_dataset("{repo}")
```
"""
_PARQUET = """
`image` is a PNG; `prompt` is the question and `answer` the circled letter; `word`, `letter`, `index`
(zero-based) and `font` (family) say what was drawn. Where `ambiguous` is true the ellipse holds another
letter's centre too. `scene` is the whole description as JSON: `unblind.redraw(row)` draws the same
pixels again.
"""
_FOLDER = """
`metadata.csv` of each split has the columns `word, circled_letter, circled_index, image_path` of the original
notebook, and `file_name`, by which `datasets` finds the images.
"""
_LEAK = """
The prompt holds the word itself. It tells a model the spelling, so that a score with it is no score of sight.
"""


def dataset_card(
    rows: Mapping[Split, int],
    sizes: Mapping[Split, int],
    columns: Mapping[str, str],
    *,
    layout: str,
    prompt: str,
) -> str:
    """The text of README.md.

    Args:
        rows: number of images of each split; splits without any are left out.
        sizes: bytes of each split's files.
        columns: name to type, as `datasets` will show them.
        layout: `parquet` or `imagefolder`.
        prompt: the question, with `{word}` where it holds the word.
    """
    counts = {split: count for split, count in rows.items() if count}
    pattern = "data/{}-*.parquet" if layout == "parquet" else "{}/**"
    header = {
        "license": "mit",
        "language": ["en"],
        "task_categories": ["visual-question-answering"],
        "pretty_name": "Words with one letter circled",
        "tags": ["unblind", "synthetic", "BlindTest"],
        "size_categories": [_size(sum(counts.values()))],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": pattern.format(split)} for split in counts],
            }
        ],
        "dataset_info": {
            "features": [{"name": column, "dtype": dtype} for column, dtype in columns.items()],
            "splits": [
                {"name": split, "num_bytes": sizes[split], "num_examples": count}
                for split, count in counts.items()
            ],
            "dataset_size": sum(sizes.values()),
        },
    }
    text = _TEXT.format(
        place=_PLACE,
        table="\n".join(f"| {split} | {count:,} |" for split, count in counts.items()),
        notes=(_PARQUET if layout == "parquet" else _FOLDER) + (_LEAK if "{word}" in prompt else ""),
    )
    return f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n\n{text}"


def published_card(folder: Path, repo: str) -> str:
    """The card of a dataset folder as the repository `repo` on the hub shows it: with its name there.

    A dataset without README.md gets a short one. Raises DatasetError as `find` does.
    """
    path = folder / "README.md"
    if path.is_file():
        return path.read_text("utf-8").replace(f'"{_PLACE}"', f'"{repo}"')
    name = repo.rpartition("/")[2]
    data = DatasetCardData(task_categories=["visual-question-answering"], pretty_name=name, tags=["unblind"])
    text = _FOREIGN.format(name=name, splits=", ".join(find(folder)), repo=repo)
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def _size(count: int) -> str:
    """The hub's name for a number of rows."""
    if count < 1_000:
        return "n<1K"
    if count < 10_000:
        return "1K<n<10K"
    return "10K<n<100K" if count < 100_000 else "100K<n<1M" if count < 1_000_000 else "n>1M"
