"""The split of a file is what `datasets` makes of its name."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest
from datasets.data_files import SPLIT_KEYWORDS, EmptyDatasetError, get_data_patterns, resolve_pattern
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unblind.data.splits import SPLIT_NAMES, by_name
from unblind.errors import DatasetError

WORDS = [*(word for words in SPLIT_NAMES.values() for word in words), "x", "data", "trained", "latest", "0"]
PARTS = st.lists(st.sampled_from([*WORDS, *WORDS[:-5], "-", "_", ".", " ", "7"]), min_size=1, max_size=3).map(
    "".join
)
NAMES = PARTS.filter(lambda name: not name.startswith(".") and name.strip(" ."))
SHARDS = st.builds(
    "{}-{:05d}-of-00002{}".format,
    st.sampled_from(["train", "val", "extra"]),
    st.integers(0, 1),
    st.sampled_from(["", "-1a2b"]),
)
FILES = st.builds(
    lambda folders, name: "/".join([*folders, f"{name}.parquet"]),
    st.lists(st.one_of(st.just("data"), NAMES), max_size=2),
    st.one_of(NAMES, SHARDS),
)


def theirs(folder: Path) -> dict[str, set[str]]:
    """The files of each split, as `datasets` finds them."""
    try:
        patterns = get_data_patterns(str(folder))
    except EmptyDatasetError:
        return {}
    found: dict[str, set[str]] = {}
    for split, globs in patterns.items():
        for pattern in globs:
            try:
                paths = resolve_pattern(pattern, str(folder))
            except FileNotFoundError:
                continue
            found.setdefault(str(split), set()).update(
                Path(path).relative_to(folder).as_posix() for path in paths
            )
    return found


def test_the_words_are_those_of_datasets() -> None:
    assert {split: set(words) for split, words in SPLIT_NAMES.items()} == {
        str(split): set(words) for split, words in SPLIT_KEYWORDS.items()
    }


@settings(max_examples=80, deadline=None)
@given(st.sets(FILES, min_size=1, max_size=4))
@example({"train-00000-of-00001-1a2b3c.parquet", "test-00000-of-00001-9f8e.parquet"})
@example({"data/train-00000-of-00001-1a2b3c.parquet", "data/extra-00000-of-00001.parquet", "test.parquet"})
@example({"training.parquet", "test-0.parquet", "x_test.parquet", "eval.parquet", "latest.parquet"})
@example({"train/a.parquet", "my test/b.parquet", "validation.parquet"})
def test_a_name_decides_as_in_datasets(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    folder = tmp_path_factory.mktemp("x") / "test"  # the folder's own name does not count
    for name in names:
        path = folder / PurePath(name)
        if not any(parent.is_file() for parent in path.parents) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    expected = theirs(folder)
    try:
        ours = by_name(folder, files)
    except DatasetError:
        listed = [name for found in expected.values() for name in found]
        assert len(listed) > len(set(listed)), "refused, though no file is of two splits"
        return
    ours = {split: {path.relative_to(folder).as_posix() for path in paths} for split, paths in ours.items()}
    if ours:
        assert ours == expected
    else:
        assert set(expected) == {"train"}, "datasets calls all of them train where no name decides"
