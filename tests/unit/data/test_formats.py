"""Datasets as others write them: Roboflow, VQAv2, LLaVA, chats, tables, tars, class folders, saved ones."""

from __future__ import annotations

import base64
import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest

from unblind.data.columns import columns_named
from unblind.data.images import encode_png
from unblind.data.reading import read, splits
from unblind.errors import DatasetError, RecipeError

PNG = encode_png(np.zeros((8, 8, 3), np.uint8))
Rows = Sequence[dict[str, Any]]
pytestmark = pytest.mark.usefixtures("held_or_mapped")


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    return folder


def lines(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def first(source: Path, split: str | None = None, **more: Any) -> dict[str, Any]:
    """The first row; its image can be read."""
    row = read(source, split, **more)[0]
    assert row["image"].size == (8, 8)
    return {name: row[name] for name in ("id", "prompt", "answer")}


def turns(*texts: str) -> Rows:
    roles = ["human", "gpt"] * 3
    return [{"from": role, "value": text} for role, text in zip(roles, texts, strict=False)]


def test_roboflows_annotations(tmp_path: Path):
    for split, count in (("train", 3), ("valid", 2), ("test", 1)):
        names = [f"{split}_{number}.png" for number in range(count)]
        pictures(tmp_path, *names)
        rows = [{"image": name, "prefix": "Which?", "suffix": "a\n"} for name in names]
        lines(tmp_path / f"_annotations.{split}.jsonl", rows)
    assert splits(tmp_path) == ("train", "validation", "test")
    assert len(read(tmp_path, "train")) == 3
    assert len(read(tmp_path, "validation")) == 2
    assert first(tmp_path) == {"id": "test_0", "prompt": "Which?", "answer": "a"}
    assert first(tmp_path / "_annotations.test.jsonl")["answer"] == "a"


def test_vqas_several_answers(tmp_path: Path):
    pictures(tmp_path, "images/0.png")
    people = [{"answer": text, "answer_id": number} for number, text in enumerate(["net", "nets", "net"])]
    row = {"image": "0.png", "question": "What?", "question_id": 7}
    path = tmp_path / "test.json"
    path.write_text(json.dumps([{**row, "answers": people}]))
    assert first(tmp_path) == {"id": "0", "prompt": "What?", "answer": "net"}
    assert read(tmp_path)[0]["accepted_answers"] == ["net", "nets", "net"]
    path.write_text(json.dumps({"info": "of it", "data": [{**row, "answers": ["a", "b", "b"]}]}))
    assert first(tmp_path)["answer"] == "b"


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


def test_webdataset_tars(tmp_path: Path):
    asked = json.dumps({"prompt": "Which?", "answer": "a", "size": 3}).encode()
    one = {f"{n:04}.{ending}": data for n in range(3) for ending, data in (("png", PNG), ("json", asked))}
    tar(tmp_path / "train-00000.tar", one)
    tar(tmp_path / "train-00001.tar", {"./x.prompt.txt": b"What?\n", "./x.jpg": PNG, "./x.answer.txt": b"b"})
    tar(tmp_path / "test-00000.tar", {"0.json": asked, "0.png": PNG, "._0.png": b"", "0.npy": b"1"})
    assert splits(tmp_path) == ("train", "test")
    train = read(tmp_path, "train")
    ids = ["train-00000/0000", "train-00000/0001", "train-00000/0002", "train-00001/x"]
    assert train["id"][:] == ids and train["prompt"][-1] == "What?" and train["answer"][:] == [*"aaab"]
    assert train["size"][:] == [3, 3, 3, None] and train[3]["image"].size == (8, 8)
    assert first(tmp_path / "test-00000.tar") == {"id": "test-00000/0", "prompt": "Which?", "answer": "a"}


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo("1.png")
    member.type, member.linkname = kind, target
    return member


def sparse() -> tarfile.TarInfo:
    member = tarfile.TarInfo("1.png")
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,1"}
    member.pax_headers |= {"GNU.sparse.size": str(2**40), "GNU.sparse.name": "1.png"}
    return member


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (link(tarfile.SYMTYPE, "/etc/passwd"), "'1.png' is a link, sparse, or no file"),
        (link(tarfile.LNKTYPE, "0.png"), "'1.png' is a link, sparse, or no file"),
        (link(tarfile.CHRTYPE, ""), "'1.png' is a link, sparse, or no file"),
        (sparse(), "is a link, sparse, or no file"),
        (tarfile.TarInfo("/etc/1.png"), "'/etc/1.png' leads outside"),
        (tarfile.TarInfo("../1.png"), r"'\.\./1\.png' leads outside"),
        (tarfile.TarInfo("0.jpg"), "a second picture of its sample"),
        (tarfile.TarInfo("0.json"), "'0.json': not JSON"),
    ],
)
def test_tars_that_would_lead_elsewhere_are_refused(tmp_path: Path, member: tarfile.TarInfo, says: str):
    path = tar(tmp_path / "test.tar", {"0.png": PNG})
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as file:
        file.addfile(member)
    with pytest.raises(DatasetError, match=says):
        read(path)


def test_a_member_that_is_too_large_or_cut_off_is_refused(tmp_path: Path):
    path = tar(tmp_path / "test.tar", {"0.png": PNG})
    huge = tarfile.TarInfo("1.png")
    huge.size = 600 * 2**20
    path.write_bytes(path.read_bytes()[:1024] + huge.tobuf())
    with pytest.raises(DatasetError, match=r"'1\.png' is larger than 512 MiB"):
        read(path)
    huge.size = 2**20
    path.write_bytes(path.read_bytes()[:1024] + huge.tobuf())
    with pytest.raises(DatasetError, match="damaged, or not a tar file"):
        read(path)
    path.write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(DatasetError, match="damaged, or not a tar file"):
        read(path)


def test_llavas_conversations(tmp_path: Path):
    pictures(tmp_path, "images/0.png")
    row = {"id": "x", "image": "0.png", "conversations": turns("<image>\nWhich?", "a")}
    (tmp_path / "train.json").write_text(json.dumps([row]))
    assert first(tmp_path, "train") == {"id": "x", "prompt": "Which?", "answer": "a"}


@pytest.mark.parametrize("named", ["images", "part", "address"])
def test_chat_messages(tmp_path: Path, named: str):
    pictures(tmp_path, "0.png")
    question: Any = "<image>Which?"
    row: dict[str, Any] = {"images": ["0.png"]}
    if named != "images":
        image = "0.png" if named == "part" else f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        kind = {"type": "image", "image": image} if named == "part" else {"image_url": {"url": image}}
        question, row = [kind, {"type": "text", "text": "Which?"}], {}
    row["messages"] = [{"role": "user", "content": question}, {"role": "assistant", "content": "a"}]
    lines(tmp_path / "train.jsonl", [row])
    assert first(tmp_path, "train") == {"id": "0", "prompt": "Which?", "answer": "a"}


def test_chat_messages_of_a_parquet_file(tmp_path: Path):
    image = {"bytes": PNG, "path": None}
    chat = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "a"}]
    features = datasets.Features(
        {
            "images": datasets.List(datasets.Image()),
            "messages": datasets.List(
                {"role": datasets.Value("string"), "content": datasets.Value("string")}
            ),
        }
    )
    rows = [{"images": [image], "messages": chat}]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "test.parquet")
    assert first(tmp_path) == {"id": "0", "prompt": "Which?", "answer": "a"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"image": "0.png", "conversations": turns("a", "b", "c", "d")},
            "row 1: its messages are from human",
        ),
        ({"image": "0.png", "conversations": turns("a")}, "one question of the user and one answer"),
        ({"image": "0.png", "conversations": turns("<image><image>a", "b")}, "row 1: .*one image a row"),
        ({"images": ["0.png", "0.png"], "conversations": turns("a", "b")}, "row 1: has 2 images; one image"),
        ({"images": [], "conversations": turns("a", "b")}, "row 1: has 0 images"),
        ({"image": "0.png", "conversations": []}, "from no one"),
        ("text", "row 1: no JSON object"),
    ],
)
def test_more_than_one_turn_or_image_is_refused_by_row(tmp_path: Path, row: Any, says: str):
    pictures(tmp_path, "0.png")
    fine = {"conversations": turns("a", "b")}
    fine |= {"images": ["0.png"]} if "images" in row else {"image": "0.png"}
    lines(tmp_path / "train.jsonl", [fine, row])
    with pytest.raises(DatasetError, match=says) as caught:
        read(tmp_path, "train")
    assert "train.jsonl" in str(caught.value)


def test_json_that_is_damaged_names_the_line(tmp_path: Path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"image": "0.png", "prompt": "a", "answer": "b"}\n{"image": \n')
    with pytest.raises(DatasetError, match=r"train\.jsonl, line 2: not JSON"):
        read(path)
    for text in ("[1", "17", '{"a": 1}', '"' + "x" * 9, "[" * 100_000):
        (tmp_path / "train.json").write_text(text)
        with pytest.raises(DatasetError, match=r"train\.json"):
            read(tmp_path / "train.json")


def test_values_of_several_types_are_text(tmp_path: Path):
    pictures(tmp_path, "0.png")
    rows = [{"image": "0.png", "prompt": "How many?", "answer": answer} for answer in (2, "two", 2.5)]
    assert read(lines(tmp_path / "test.jsonl", rows))["answer"][:] == ["2", "two", "2.5"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_in_any_encoding_and_with_any_delimiter(tmp_path: Path, encoding: str, delimiter: str):
    pictures(tmp_path, "a.png")
    text = 'file_name,prompt,answer\na.png,"Größe,\nFarbe;?",né\n'.replace(",", delimiter)
    (tmp_path / "metadata.csv").write_bytes(text.encode(encoding))
    assert first(tmp_path) == {
        "id": "a", "prompt": f"Größe{delimiter}\nFarbe;?", "answer": "né",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_metadata_of_an_image_folder_in_other_formats(tmp_path: Path, kind: str):
    for split in ("train", "test"):
        pictures(tmp_path / split, "0.png")
        path = lines(
            tmp_path / split / "metadata.jsonl", [{"file_name": "0.png", "prompt": "?", "answer": split}]
        )
        if kind == "parquet":
            datasets.Dataset.from_list([json.loads(path.read_text())]).to_parquet(
                path.with_suffix(".parquet")
            )
            path.unlink()
    assert first(tmp_path) == {"id": "0", "prompt": "?", "answer": "test"}
    assert first(tmp_path, "train")["answer"] == "train"


def test_base64_in_a_tsv(tmp_path: Path):
    """As VLMEvalKit keeps its benchmarks."""
    image = base64.b64encode(PNG).decode()
    (tmp_path / "Bench.tsv").write_text(f"index\timage\tquestion\tanswer\n5\t{image}\tWhich?\ta\n")
    assert first(tmp_path / "Bench.tsv") == {"id": "0", "prompt": "Which?", "answer": "a"}


def test_class_folders_with_a_prompt_for_all(tmp_path: Path):
    pictures(tmp_path, "train/cat/0.png", "train/dog/0.png", "train/dog/1.png", "test/dog/0.png")
    with pytest.raises(DatasetError, match="lacks prompt"):
        read(tmp_path)
    columns = columns_named(["prompt=Which animal, please?"])
    assert splits(tmp_path, columns) == ("train", "test")
    assert read(tmp_path, "train", columns=columns)["answer"][:] == ["cat", "dog", "dog"]
    assert first(tmp_path, columns=columns) == {"id": "0", "prompt": "Which animal, please?", "answer": "dog"}
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(DatasetError, match=r"no Parquet file, no metadata\.csv"):
        read(tmp_path)


@pytest.mark.parametrize("several", [True, False])
def test_what_save_to_disk_wrote(tmp_path: Path, several: bool):
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "question": datasets.Value("string"),
            "answer": datasets.ClassLabel(names=["a", "b"]),
        }
    )
    rows = [{"image": {"bytes": PNG, "path": None}, "question": "?", "answer": n} for n in (0, 1)]
    dataset = datasets.Dataset.from_list(rows, features=features).select([1, 0])
    (datasets.DatasetDict(train=dataset, test=dataset) if several else dataset).save_to_disk(tmp_path / "d")
    assert splits(tmp_path / "d") == (("train", "test") if several else ("train",))
    assert first(tmp_path / "d") == {"id": "0", "prompt": "?", "answer": "b"}
    for path in (tmp_path / "d").rglob("*.arrow"):
        path.write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="cannot be read as a saved dataset"):
        read(tmp_path / "d")


def test_columns_by_the_users_names(tmp_path: Path):
    pictures(tmp_path, "0.png")
    path = lines(tmp_path / "test.jsonl", [{"photo": "0.png", "ask": "Which?", "label": "a", "answer": "b"}])
    columns = columns_named(["image=photo,prompt=ask", "answer=label"])
    assert first(path, columns=columns) == {"id": "0", "prompt": "Which?", "answer": "a"}
    with pytest.raises(DatasetError, match="has no column 'picture'; it has photo, ask, label, answer"):
        read(path, columns={"image": "picture"})


@pytest.mark.parametrize("text", ["image", "image=", "photo=image", "=x", "imge=a"])
def test_columns_that_name_nothing_are_refused(text: str):
    with pytest.raises(RecipeError, match="--columns"):
        columns_named([text])


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    for name in ("a.png", "a.zip", "a"):
        with pytest.raises(
            DatasetError, match=r"no file with the rows of a dataset; name one that ends in \.parq"
        ):
            read(pictures(tmp_path, name) / name)


def test_answers_of_files_with_other_classes_are_not_mixed(tmp_path: Path):
    for number, names in enumerate((["a", "b"], ["b", "a"])):
        features = datasets.Features(
            {
                "image": datasets.Image(),
                "prompt": datasets.Value("string"),
                "answer": datasets.Value("string"),
                "kind": datasets.ClassLabel(names=names),
            }
        )
        row = {"image": {"bytes": PNG, "path": None}, "prompt": "?", "answer": "x", "kind": 0}
        path = tmp_path / f"train-{number:05d}-of-00002.parquet"
        datasets.Dataset.from_list([row], features=features).to_parquet(path)
    assert pq.read_table(path)["kind"].to_pylist() == [0]
    with pytest.raises(DatasetError, match="its files differ in the names of their classes"):
        read(tmp_path, "train")
