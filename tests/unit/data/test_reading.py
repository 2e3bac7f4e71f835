"""Reading datasets of every kind, and refusing broken ones."""

import base64
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind.data.images import decode_image, encode_png
from unblind.data.reading import read, splits
from unblind.errors import DatasetError
from unblind.tasks.redraw import redraw

BLINDTEST = Path(__file__).parents[4] / "shared" / "blindtest" / "acknowledgement.parquet"
PNG = encode_png(np.zeros((8, 8, 3), np.uint8))
pytestmark = pytest.mark.usefixtures("held_or_mapped")


def table(rows: int = 3, **columns: Any) -> pa.Table:
    """A dataset of the generic contract; a column given as None is left out."""
    plain = {
        "image": [{"bytes": PNG, "path": "x.png"}] * rows,
        "prompt": ["Which?"] * rows,
        "answer": ["a"] * rows,
    }
    return pa.table({name: column for name, column in {**plain, **columns}.items() if column is not None})


def save(path: Path, content: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path)
    return path


def test_the_generic_contract(tmp_path: Path):
    dataset = read(save(tmp_path / "a.parquet", table(extra=[1, 2, 3])))
    assert dataset.column_names == ["id", "image", "prompt", "answer", "extra"]
    assert isinstance(dataset.features["image"], datasets.Image)
    assert dataset["id"][:] == ["0", "1", "2"]
    assert dataset[0]["image"].size == (8, 8)


@pytest.mark.parametrize(
    "images",
    [
        pa.array([PNG] * 3, pa.binary()),
        pa.array([PNG] * 3, pa.large_binary()),
        pa.array([{"bytes": PNG}] * 3),
        pa.array([{"path": "x.png"}] * 3),
        pa.array(["x.png"] * 3),
        pa.array(["x.png"] * 3, pa.large_string()),
    ],
    ids=str,
)
def test_images_in_every_form(tmp_path: Path, images: pa.Array):
    (tmp_path / "x.png").write_bytes(PNG)
    dataset = read(save(tmp_path / "a.parquet", table(image=images)))
    assert dataset[2]["image"].size == (8, 8)


def test_text_columns_of_any_arrow_type(tmp_path: Path):
    answers = pa.array(["a", "b", "a"]).dictionary_encode()
    dataset = read(save(tmp_path / "a.parquet", table(answer=answers, id=[7, 8, 9])))
    assert dataset["answer"][:] == ["a", "b", "a"]
    assert dataset["id"][:] == ["7", "8", "9"]


def test_the_benchmarks_schema(tmp_path: Path):
    metadata = [
        json.dumps({"word": "cab", "index": 1, "font": "Open Sans", "padding": 25, "thickness": 4}),
        "{torn",
        None,
    ]
    content = table(answer=None, groundtruth=["a", "b", "c"], task=["Circled Letter"] * 3, metadata=metadata)
    dataset = read(save(tmp_path / "a.parquet", content))
    assert dataset["answer"][:] == ["a", "b", "c"]
    assert dataset["letter"][:] == ["a", "b", "c"]
    assert dataset["word"][:] == ["cab", None, None]
    assert dataset["index"][:] == [1, None, None]
    assert dataset[0]["padding"] == 25.0
    assert dataset[0]["thickness"] == 4.0
    assert dataset[0]["font"] == "Open Sans"


def test_of_the_benchmark_the_tasks_that_are_known_are_kept_under_their_row_numbers(tmp_path: Path):
    tasks = ["Yet Another Task", "Circled Letter", None, "Line Plot Intersections"]
    metadata = [None, '{"word": "cab", "index": 0}', None, '{"thickness": "x", "resolution": 384.0}']
    content = table(4, answer=None, groundtruth=["2", "c", "", "1"], task=tasks, metadata=metadata)
    dataset = read(save(tmp_path / "a.parquet", content))
    assert dataset["id"][:] == ["1", "3"]
    assert dataset["task"][:] == ["circled-letter", "line-intersections"]
    assert dataset["letter"][:] == ["c", None]
    assert dataset["resolution"][:] == [None, 384]
    assert "thickness" not in dataset.column_names, "no number in any row"


def test_the_benchmarks_overlap_comes_from_a_table(tmp_path: Path):
    place = {"word": "Acknowledgement", "index": 5, "padding": 25, "thickness": 4, "font": "OpenSans"}
    strange = [place | {"index": 99}, place | {"word": ["x"]}, place | {"font": None}]
    metadata = [json.dumps(row) for row in (place, *strange)]
    dataset = read(save(tmp_path / "a.parquet", table(4, task=["Circled Letter"] * 4, metadata=metadata)))
    assert dataset["overlap"][:] == [1.0, None, None, None]


def test_another_datasets_tasks_are_kept(tmp_path: Path):
    dataset = read(save(tmp_path / "a.parquet", table(task=["x", "grid", None])))
    assert dataset["task"][:] == ["x", "grid", None]
    assert dataset.column_names == ["id", "task", "image", "prompt", "answer"]


@pytest.mark.skipif(not BLINDTEST.exists(), reason="the real benchmark images are not there")
def test_the_real_benchmark():
    dataset = read(BLINDTEST)
    assert len(dataset) == 360
    assert set(dataset["word"]) == {"Acknowledgement"}
    assert all(
        word[i] == a for word, i, a in zip(dataset["word"], dataset["index"], dataset["answer"], strict=True)
    )
    assert set(dataset["padding"]) == {25, 50, 100, 200}
    assert dataset[0]["image"].size == (512, 512)


def test_splits_and_their_choice(tmp_path: Path):
    save(tmp_path / "data" / "train-00000-of-00002.parquet", table(2))
    save(tmp_path / "data" / "train-00001-of-00002.parquet", table(3))
    save(tmp_path / "data" / "valid-00000-of-00001.parquet", table(1))
    assert set(splits(tmp_path)) == {"train", "valid"}
    assert len(read(tmp_path, "train")) == 5
    assert len(read(tmp_path, "validation")) == 1
    assert len(read(tmp_path)) == 1, "the held-out one"
    save(tmp_path / "data" / "test-00000-of-00001.parquet", table(4))
    assert len(read(tmp_path)) == 4, "test before validation"
    with pytest.raises(DatasetError, match="has no split 'dev2'; it has train, test, valid"):
        read(tmp_path, "dev2")


def test_one_file_without_a_splits_name_is_the_only_split_and_several_are_refused(tmp_path: Path):
    save(tmp_path / "a.parquet", table(1))
    save(tmp_path / ".cache" / "c.parquet", table(1))
    assert splits(tmp_path) == ("train",)
    assert len(read(tmp_path)) == 1
    save(tmp_path / "b.parquet", table(2))
    with pytest.raises(DatasetError, match=r"no name says which split a\.parquet, b\.parquet belong to"):
        read(tmp_path)


def test_a_missing_shard_is_noticed(tmp_path: Path):
    save(tmp_path / "train-00000-of-00002.parquet", table())
    with pytest.raises(DatasetError, match="1 of the 2 files of split train"):
        read(tmp_path)


def test_the_notebooks_own_folder(tmp_path: Path):
    """Images beside a metadata.csv with the four columns, as the original notebook writes."""
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "1.png").write_bytes(PNG)
    header = "word,circled_letter,circled_index,image_path\n"
    (tmp_path / "metadata.csv").write_text(f"{header}null,u,1,img/1.png\n")
    row = read(tmp_path)[0]
    assert row["image"].size == (8, 8)
    assert row["prompt"] == "Which letter is being circled?"
    assert {name: row[name] for name in ("id", "word", "answer", "index")} == {
        "id": "1", "word": "null", "answer": "u", "index": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/hostname", "a\0b", "ok/../../secret.png", "images/../../secret.png"]
)
def test_paths_out_of_the_folder_are_refused(tmp_path: Path, path: str):
    (tmp_path / "secret.png").write_bytes(PNG)
    folder = tmp_path / "data"
    folder.mkdir()
    save(folder / "a.parquet", table(1, image=[{"bytes": None, "path": path}]))
    with pytest.raises(DatasetError, match=r"a\.parquet, row 0: .*outside the dataset's folder"):
        read(folder)


def test_a_path_beside_bytes_is_a_mere_name(tmp_path: Path):
    path = save(tmp_path / "a.parquet", table(1, image=[{"bytes": PNG, "path": "/etc/hostname"}]))
    assert read(path)[0]["image"].size == (8, 8)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": None}, "lacks image; needed .* found are prompt, answer"),
        ({"answer": None}, "lacks answer"),
        ({"prompt": None, "answer": None}, "lacks prompt, answer"),
        ({"image": [1, 2, 3]}, "'image' holds int64"),
        ({"image": [{"x": 1}] * 3}, "'image' holds struct"),
        ({"answer": ["a", None, "b"]}, "row 1: no answer"),
        ({"answer": ["a", "b", " "]}, "row 2: no answer"),
        ({"prompt": ["", "b", "c"], "id": ["x", "y", "z"]}, "row x: no prompt"),
        ({"answer": [["a"]] * 3}, "'answer' holds list"),
        ({"rows": 0, "image": pa.array([], pa.binary())}, "has no rows"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, columns: dict[str, Any], message: str):
    path = save(tmp_path / "a.parquet", table(**columns))
    with pytest.raises(DatasetError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_named(tmp_path: Path):
    whole = save(tmp_path / "a.parquet", table())
    for name, data in (("cut", whole.read_bytes()[:-20]), ("empty", b""), ("text", b"word,letter\n")):
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=rf"{name}\.parquet: damaged, or not a Parquet file"):
            read(path)


def test_flipped_bytes_inside_a_parquet_file_raise_nothing_else(tmp_path: Path):
    data = bytearray(save(tmp_path / "a.parquet", table()).read_bytes())
    path = tmp_path / "flipped.parquet"
    for place in range(0, len(data), 7):
        changed = data.copy()
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            read(path)
        except DatasetError as error:
            assert str(path) in str(error)


def test_a_broken_image_is_found_when_it_is_decoded(tmp_path: Path):
    path = save(tmp_path / "a.parquet", table(2, image=[{"bytes": PNG}, {"bytes": PNG[:40]}]))
    dataset = read(path).cast_column("image", datasets.Image(decode=False))
    assert decode_image(dataset[0]["image"], "row 0").size == (8, 8)
    with pytest.raises(DatasetError, match=r"row 1: the image cannot be decoded"):
        decode_image(dataset[1]["image"], "row 1")


def test_nothing_there(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "gone", "no such file or folder"),
        ("gone.parquet", "no such file or folder"),
        (str(tmp_path / "gone"), "no such file or folder"),
        ("../gone", "no such file or folder"),
        (tmp_path / "empty", "no Parquet file, no metadata.csv"),
    ):
        with pytest.raises(DatasetError, match=message):
            read(source)


def test_no_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        DatasetError, match=r"no-one/nothing: no such file or folder here, .* cannot be reached"
    ):
        read("no-one/nothing")


def test_an_unreadable_csv_is_named(tmp_path: Path):
    (tmp_path / "metadata.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        DatasetError, match=r"metadata\.csv: needs a column file_name or image_path, and has a, b"
    ):
        read(tmp_path)
    (tmp_path / "metadata.csv").write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(DatasetError, match="not a readable CSV"):
        read(tmp_path)


@pytest.mark.parametrize("scene", [None, "", "{}", "[]", '{"word": "a"}', "torn {"])
def test_redraw_refuses_rows_without_a_scene(scene: str | None):
    with pytest.raises(DatasetError, match=r"scene"):
        redraw({"id": "x", "scene": scene} if scene is not None else {"id": "x"})


def test_reading_leaves_no_trace_in_the_folder(tmp_path: Path):
    save(tmp_path / "a.parquet", table())
    read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    return folder


def metadata(path: Path, *names: str) -> Path:
    """A metadata.csv, each image with the answer of its number."""
    lines = [f"{name},Which?,{number}" for number, name in enumerate(names)]
    path.write_text("\n".join(["file_name,prompt,answer", *lines, ""]))
    return path


def test_shards_with_a_fingerprint_are_parted_as_datasets_parts_them(tmp_path: Path):
    save(tmp_path / "data" / "train-00000-of-00001-1a2b3c4d5e6f7a8b.parquet", table(6))
    save(tmp_path / "data" / "test-00000-of-00001-9f8e7d6c5b4a3b2c.parquet", table(4))
    assert splits(tmp_path) == ("train", "test")
    assert len(read(tmp_path)) == 4


def test_what_we_wrote_ourselves_is_no_data(tmp_path: Path):
    save(tmp_path / "train.parquet", table(6))
    save(tmp_path / "test.parquet", table(4))
    save(tmp_path / "test" / "predictions.parquet", table(9))
    (tmp_path / "test" / "metrics.json").write_text("{}")
    save(tmp_path / "train-run" / "log.parquet", table(9))
    (tmp_path / "train-run" / "settings.json").write_text('{"made_by": "unblind train"}')
    assert splits(tmp_path) == ("train", "test")
    assert len(read(tmp_path)) == 4


def test_a_column_split_parts_the_rows(tmp_path: Path):
    save(tmp_path / "all.parquet", table(3, split=["train", "test ", "train"], answer=["a", "b", "c"]))
    assert splits(tmp_path) == ("train", "test")
    assert read(tmp_path)["answer"][:] == ["b"]
    assert read(tmp_path, "train")["answer"][:] == ["a", "c"]
    save(tmp_path / "all.parquet", table(3, split=["train", None, "test"]))
    with pytest.raises(DatasetError, match=r"row 1: belongs to no split \(train, test\)"):
        read(tmp_path)


def test_linked_images_are_read_where_the_link_lies_inside(tmp_path: Path):
    """As in a snapshot of the hub's cache."""
    pictures(tmp_path, "blobs/1")
    folder = tmp_path / "snapshots" / "x"
    folder.mkdir(parents=True)
    (folder / "a.png").symlink_to(Path("../../blobs/1"))
    metadata(folder / "metadata.csv", "a.png")
    assert read(folder)[0]["image"].size == (8, 8)


@pytest.mark.parametrize("layout", ["folders", "root"])
@pytest.mark.parametrize("name", ["data", "./data", ".", "../here/data", "link", "absolute"])
def test_a_folder_of_images_by_any_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, name: str
):
    folder = pictures(tmp_path / "here" / "data", "train/0.png", "test/0.png", "test/1.png")
    if layout == "root":
        metadata(folder / "metadata.csv", "train/0.png", "test/0.png", "test/1.png")
    else:
        metadata(folder / "train" / "metadata.csv", "0.png")
        metadata(folder / "test" / "metadata.csv", "0.png", "1.png")
    (tmp_path / "here" / "link").symlink_to(folder)
    monkeypatch.chdir(folder if name == "." else folder.parent)
    dataset = read(str(folder) if name == "absolute" else name)
    assert len(dataset) == 2, "the rows of test/"
    assert dataset[1]["image"].size == (8, 8)
    assert len(read(str(folder), "train")) == 1


def test_ids_come_from_paths_and_rows(tmp_path: Path):
    pictures(tmp_path, "class0/0.png", "class1/0.png", "class1/1.png")
    metadata(tmp_path / "metadata.csv", "class0/0.png", "class1/1.png")
    assert read(tmp_path)["id"][:] == ["0", "1"]
    metadata(tmp_path / "metadata.csv", "class0/0.png", "class1/0.png")
    assert read(tmp_path)["id"][:] == ["class0/0", "class1/0"]
    metadata(tmp_path / "metadata.csv", "class0/0.png", "class0/0.png", "class1/1.png")
    assert read(tmp_path)["id"][:] == ["0#0", "0#1", "1#2"]


def test_space_at_the_ends_and_a_mark_for_the_image_are_left_out(tmp_path: Path):
    prompts, answers = ["Which?\n", "<image>\nWhich?", "Which?<image>"], ["a\n", " b", "c \t"]
    dataset = read(save(tmp_path / "a.parquet", table(prompt=prompts, answer=answers)))
    assert dataset["answer"][:] == ["a", "b", "c"]
    assert dataset["prompt"][:] == ["Which?"] * 3


@pytest.mark.parametrize("name", ["answer", "groundtruth", "mine"])
def test_answers_that_are_classes_are_read_by_name(tmp_path: Path, name: str):
    text = datasets.Value("string")
    features = datasets.Features(
        {"image": datasets.Image(), "prompt": text, name: datasets.ClassLabel(names=["a", "c"])}
        | {"kind": datasets.ClassLabel(names=["x", "y"]), "small": datasets.Value("int8")}
        | {"mask": datasets.Image()}
    )
    row = {"image": {"bytes": PNG, "path": None}, "prompt": "Which?", "kind": 1, "small": 3}
    row["mask"] = {"bytes": None, "path": "/etc/hostname"}
    rows = [{**row, name: 1}, {**row, name: 0}]
    path = save(tmp_path / "a.parquet", pa.Table.from_pylist(rows, features.arrow_schema))
    dataset = read(path, columns={"answer": name})
    assert dataset["answer"][:] == ["c", "a"]
    assert dataset.features["kind"].names == ["x", "y"]
    assert dataset.features["small"] == datasets.Value("int8")
    assert isinstance(dataset.features["mask"], datasets.Image)
    assert isinstance(dataset[0]["mask"], dict), "paths of other columns are not followed"


def test_images_written_as_text_are_decoded_and_addresses_refused(tmp_path: Path):
    plain = base64.b64encode(PNG).decode()
    dataset = read(save(tmp_path / "a.parquet", table(2, image=[plain, f"data:image/png;base64,{plain}"])))
    assert [image.size for image in dataset["image"]] == [(8, 8)] * 2
    save(tmp_path / "a.parquet", table(2, image=[plain, "https://example.org/a.png?" + "x" * 500]))
    with pytest.raises(DatasetError, match=r"row 1: 'https://example.org.*download the image") as caught:
        read(tmp_path)
    assert len(str(caught.value)) < 300


def test_files_that_cannot_be_read_say_why(tmp_path: Path):
    (tmp_path / "a.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(DatasetError, match=r"a\.parquet: a Git LFS pointer.*git lfs pull"):
        read(tmp_path)
