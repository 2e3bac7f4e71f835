"""Building a dataset folder: scenes -> pixels -> shards, in parallel and resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pyarrow as pa
from cyclopts import Parameter

from unblind.data.dataset_card import dataset_card
from unblind.data.images import encode_png
from unblind.data.storage import (
    COLUMNS,
    METADATA_COLUMNS,
    join_metadata,
    parquet_schema,
    size_of,
    write_folder,
    write_parquet,
)
from unblind.errors import RecipeError, SceneError, WordsError
from unblind.flags import Drawing, Question
from unblind.runtime.outputs import atomic, claim, sweep, write_text
from unblind.runtime.pool import spread
from unblind.runtime.progress import progress
from unblind.runtime.ray_pool import spread_by_ray
from unblind.tasks.circled_letter import blindtest
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.circled_letter.scene import Scene, SceneOptions, grid_scenes, sample_scene
from unblind.tasks.fonts import Font, FontLibrary, find_fonts
from unblind.tasks.prompts import DEFAULT_PROMPT, prompt_text
from unblind.tasks.splits import SPLITS, Split
from unblind.tasks.words import WordSource, load_words, some_random

Engine = Literal["local", "ray"]

SHARD_ROWS = 2_000
_GRID_CELLS = 4 * 3  # images of one letter in the notebook's grid: paddings x line widths


@dataclass(frozen=True)
class GenerateOptions:
    """What a dataset is made of.

    Attributes:
        train: number of images.
        validation: number of images, of words and font families that no other split has.
        test: likewise.
        seed: same seed, same bytes.
        words: `webster`, `nltk`, `random`, or a text file with one word a line.
        min_length: letters.
        max_length: letters.
        random_strings: share of the training images that show random strings, of up to 20 letters, instead.
        fonts: `bundled`, `system`, folders, or files.
        bold: keep bold fonts.
        italic: keep italic fonts.
        scene: the drawing's knobs.
        prompt: the question, or its name in `PROMPTS`; `{word}` in it stands for the word itself.
        answer: what is asked for: the circled `letter`, or the `word` (with `--prompt read`, a reading test).
        layout: `parquet`, or `imagefolder`: PNG files and a metadata.csv for each split.
        preset: `blindtest` draws the benchmark's 1,248 images again, into the test split; it needs Open Sans,
            and Helvetica or Liberation Sans. `notebook` draws the original notebook's grid, word by word,
            each in a random font: 512 px, every letter x padding 25, 50, 100, 200 x line width 4, 5, 6.
    """

    train: int = 10_000
    validation: int = 500
    test: int = 1_000
    seed: int = 0
    words: str = "webster"
    min_length: int = 5
    max_length: int = 15
    random_strings: Drawing[float] = 0.0
    fonts: tuple[str, ...] = ("bundled",)
    bold: Drawing[bool] = True
    italic: Drawing[bool] = True
    scene: Annotated[SceneOptions, Parameter(name="*")] = field(default_factory=SceneOptions)
    prompt: Question[str] = DEFAULT_PROMPT
    answer: Question[Literal["letter", "word"]] = "letter"
    layout: Question[Literal["parquet", "imagefolder"]] = "parquet"
    preset: Literal["notebook", "blindtest"] | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no dataset. Raises RecipeError."""
        for split, count in self.rows.items():
            if count < 0:
                raise RecipeError(f"--{split} {count}: need 0 or more images")
        if not any(self.rows.values()):
            raise RecipeError("--train, --validation and --test are all 0; ask for at least one image")
        if not 0 <= self.seed < 2**63:
            raise RecipeError(f"--seed {self.seed}: need 0 to 2^63 - 1")
        for name, value, known in (
            ("answer", self.answer, ("letter", "word")),
            ("layout", self.layout, ("parquet", "imagefolder")),
            ("preset", self.preset, (None, "notebook", "blindtest")),
        ):
            if value not in known:
                raise RecipeError(f"--{name} {value}: need one of {', '.join(str(k) for k in known if k)}")
        if self.preset and self.scene != SceneOptions():
            raise RecipeError(f"--preset {self.preset} sets the drawing's knobs itself; leave them out")
        if not self.prompt.strip():
            raise RecipeError("--prompt is empty; write the question")

    @property
    def rows(self) -> dict[Split, int]:
        """Number of images of each split."""
        if self.preset == "blindtest":
            return {"train": 0, "validation": 0, "test": blindtest.COUNT}
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Shard:
    """The rows `start` to `stop` of a split: drawn by one process, written at once."""

    split: Split
    number: int
    of: int
    start: int
    stop: int


def generate(out: Path, options: GenerateOptions, *, workers: int = 0, engine: Engine = "local") -> None:
    """Make a dataset folder, or complete one that was interrupted.

    Args:
        out: the folder; new, empty, or made by the same call before.
        options: what to make; the bytes depend on nothing else.
        workers: number of processes; 0: as many as there are cores. With more than one, a script that calls
            this needs the usual `if __name__ == "__main__":`, as with any pool of processes.
        engine: `local`, or `ray`: the machines of a Ray cluster, each of which must see `out`.

    Raises:
        OutputError: the folder holds something else, was made with other settings, is in use or not writable.
        WordsError, FontsError, SceneError, RecipeError: nothing can be drawn with these options.
    """
    if workers < 0:
        raise RecipeError(f"--workers {workers}: need 0 (all cores) or more")
    if engine not in get_args(Engine):
        raise RecipeError(f"--engine {engine}: need one of {', '.join(get_args(Engine))}")
    out = Path(out)
    maker = make_maker(out if engine == "local" else out.absolute(), options)
    shards = plan(options)
    splits = [split for split, count in options.rows.items() if count]
    for split in splits:
        next(maker.scenes(split, 0, 1))  # what cannot be drawn is refused before anything is written
    with claim(out, settings_of(maker), made_by="unblind generate"):
        missing = [shard for shard in shards if not maker.path(shard).exists()]
        if missing or not (out / "README.md").exists():
            # the card comes first: by its numbers of rows `datasets` refuses a folder that is not complete
            write_text(out / "README.md", _card(maker, shards))
            _draw_all(maker, shards, missing, workers, engine)
            write_text(out / "README.md", _card(maker, shards))


def drawn(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The first rows of the test split of a default dataset with this seed, without writing one."""
    options = GenerateOptions(train=0, validation=0, test=count, seed=seed)
    return list(make_maker(Path(), options).rows("test", 0, count))


def fonts_of(options: GenerateOptions) -> FontLibrary:
    """The fonts to draw with. Raises FontsError."""
    if options.preset == "blindtest":
        named = () if options.fonts == ("bundled",) else options.fonts
        return FontLibrary(blindtest.benchmark_fonts(*named))
    return find_fonts(*options.fonts, bold=options.bold, italic=options.italic)


def make_maker(out: Path, options: GenerateOptions) -> Maker:
    """What draws a dataset. Raises WordsError and FontsError."""
    words = load_words(options.words, min_length=options.min_length, max_length=options.max_length)
    words = some_random(words, options.random_strings, options.min_length)
    return Maker(out, options, words, fonts_of(options), parquet_schema())


def _draw_all(maker: Maker, shards: list[Shard], missing: list[Shard], workers: int, engine: Engine) -> None:
    with progress("Drawing", sum(maker.options.rows.values())) as advance:
        advance(sum(shard.stop - shard.start for shard in shards if shard not in missing))
        # closed at once when something fails, so that no process goes on
        with closing((spread_by_ray if engine == "ray" else spread)(maker.make, missing, workers)) as done:
            for rows in done:
                advance(rows)
    if engine == "ray":
        sweep(maker.out)  # what lost machines left
    if maker.options.layout == "imagefolder":
        for split in {shard.split for shard in shards}:
            join_metadata(maker.out / split, [maker.path(shard) for shard in shards if shard.split == split])


def plan(options: GenerateOptions) -> list[Shard]:
    """The shards of a dataset."""
    shards = []
    for split, count in options.rows.items():
        starts = range(0, count, SHARD_ROWS)
        for number, start in enumerate(starts):
            shards.append(Shard(split, number, len(starts), start, min(start + SHARD_ROWS, count)))
    return shards


@dataclass(frozen=True)
class Maker:
    """Everything that a process needs to make a shard."""

    out: Path
    options: GenerateOptions
    words: WordSource
    fonts: FontLibrary
    schema: pa.Schema

    def path(self, shard: Shard) -> Path:
        """Where the finished shard lies; it is there only if it is whole."""
        if self.options.layout == "imagefolder":
            return self.out / shard.split / f"{shard.number:05d}"
        return self.out / "data" / f"{shard.split}-{shard.number:05d}-of-{shard.of:05d}.parquet"

    def scenes(self, split: Split, start: int, stop: int) -> Iterator[Scene]:
        """The scenes of these rows."""
        if self.options.preset == "blindtest":
            return islice(blindtest.benchmark_scenes(self.fonts.fonts), start, stop)
        if self.options.preset == "notebook":
            return _grid(self, split, start, stop)
        return (
            sample_scene(self.options.seed, split, index, self.words, self.fonts, self.options.scene)
            for index in range(start, stop)
        )

    def samples(self, split: Split, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """These rows, as in layouts.COLUMNS but for `image`: (height, width, 3) uint8 pixels."""
        for index, scene in enumerate(self.scenes(split, start, stop), start):
            yield _row(f"{split}-{index:07d}", scene, self.fonts.get(scene.font.digest), self.options)

    def rows(self, split: Split, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """These rows, as in layouts.COLUMNS."""
        for row in self.samples(split, start, stop):
            yield row | {"image": {"bytes": encode_png(row["image"]), "path": f"{row['id']}.png"}}

    def make(self, shard: Shard) -> int:
        """Draw and write a shard, whole or not at all; returns the number of its rows."""
        path, rows = self.path(shard), self.rows(shard.split, shard.start, shard.stop)
        with atomic(path) as temporary:
            if self.options.layout == "imagefolder":
                write_folder(temporary, path.relative_to(self.out).as_posix(), rows)
            else:
                write_parquet(temporary, rows, self.schema)
        return shard.stop - shard.start


def _row(name: str, scene: Scene, font: Font, options: GenerateOptions) -> dict[str, Any]:
    return {
        "id": name,
        "image": draw(scene, font),
        "prompt": prompt_text(options.prompt, scene.word),
        "answer": scene.letter if options.answer == "letter" else scene.word,
        "word": scene.word,
        "letter": scene.letter,
        "index": scene.index,
        "font": scene.font.family,
        "ambiguous": scene.ambiguous,
        "scene": scene.to_json(),
    }


def _grid(maker: Maker, split: Split, start: int, stop: int) -> Iterator[Scene]:
    """Rows of the notebook's grid: whole words are passed over without laying them out."""
    first = 0
    for word, font in _grid_words(maker, split):
        if first >= stop:
            return
        end = first + len(word) * _GRID_CELLS
        if end > start:
            scenes = list(grid_scenes([word], [font]))
            yield from scenes[max(0, start - first) : stop - first]
        first = end


def _grid_words(maker: Maker, split: Split) -> Iterator[tuple[str, Font]]:
    """Words in random order, each in a random font; no pair twice, and none that leaves the image.

    Raises:
        WordsError: there are no more.
    """
    rng = np.random.default_rng((maker.options.seed, SPLITS.index(split)))
    fonts = maker.fonts.of_split(split)
    seen: set[tuple[str, Font]] = set()
    tries = 0
    while tries < 10_000:
        tries += 1
        pair = maker.words.sample(rng, split), fonts[int(rng.integers(len(fonts)))]
        if pair in seen or not _fits_grid(*pair):
            continue
        seen.add(pair)
        tries = 0
        yield pair
    raise WordsError(
        f"'{maker.options.words}' has too few words for that many {split} images;"
        " use a longer list (--words), or ask for fewer"
    )


def _fits_grid(word: str, font: Font) -> bool:
    """Whether the tightest cells fit; an oblique bold font's first or last ellipse may not."""
    try:
        return bool(list(grid_scenes([word], [font], paddings=(25,), line_widths=(6,))))
    except SceneError:
        return False


def settings_of(maker: Maker) -> dict[str, Any]:
    """The options, and what the names of words and fonts stood for when they were used."""
    fonts = "".join(font.digest for font in maker.fonts.fonts)
    return {
        **asdict(maker.options),
        **{str(split): count for split, count in maker.options.rows.items()},
        "words_sha256": hashlib.sha256(repr(maker.words).encode()).hexdigest(),
        "fonts_sha256": hashlib.sha256(fonts.encode()).hexdigest(),
    }


def _card(maker: Maker, shards: list[Shard]) -> str:
    options = maker.options
    columns = COLUMNS
    if options.layout == "imagefolder":  # `datasets` shows `file_name` as the image
        columns = {"image": "image", **METADATA_COLUMNS}
        del columns["file_name"]
    sizes = dict.fromkeys((split for split, count in options.rows.items() if count), 0)
    for shard in shards:
        sizes[shard.split] += size_of(maker.path(shard))
    question = prompt_text(options.prompt, "{word}")
    return dataset_card(options.rows, sizes, columns, layout=options.layout, prompt=question)
