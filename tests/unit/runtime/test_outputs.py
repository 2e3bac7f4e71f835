"""Output folders: whole files, one process at a time, no mixing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unblind.errors import OutputError
from unblind.runtime.outputs import LOCK, SETTINGS, atomic, claim, read_settings, write_json, write_text

HOLD = """
import sys, time
from pathlib import Path
from unblind.runtime.outputs import claim
with claim(Path(sys.argv[1]), {"seed": 0}, made_by="unblind test"):
    print("held", flush=True)
    time.sleep(60)
"""


def take(folder: Path, **settings: object) -> None:
    with claim(folder, settings or {"seed": 0}, made_by="unblind test"):
        pass


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds tmp_path / "out"."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path: Path):
    with atomic(tmp_path / "deep" / "folder") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("1")
        assert not (tmp_path / "deep" / "folder").exists()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["folder"]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path):
    for text in ("old", "new"):
        with atomic(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["folder", "folder/new"]


def test_written_files_are_as_readable_as_any(tmp_path: Path):
    write_json(tmp_path / "a.json", {"ü": 1})
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"ü": 1}


def test_a_place_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "")
    with pytest.raises(OutputError, match="cannot be written"):
        take(tmp_path / "file" / "out")


def test_claim_remembers_its_settings_and_may_be_repeated(tmp_path: Path):
    take(tmp_path / "a" / "b", seed=1, fonts=("x",))
    take(tmp_path / "a" / "b", seed=1, fonts=("x",))
    assert read_settings(tmp_path / "a" / "b") == {"made_by": "unblind test", "seed": 1, "fonts": ["x"]}


def test_other_settings_are_refused_with_both_shown(tmp_path: Path):
    take(tmp_path, seed=1, scene={"size": 224, "color": "red"}, same=1)
    with pytest.raises(OutputError) as caught:
        take(tmp_path, seed=2, scene={"size": 512, "color": "red"}, same=1, new=None)
    message = str(caught.value)
    assert "seed was 1, now 2" in message
    assert "scene.size was 224, now 512" in message
    assert "new was absent, now null" in message
    assert "color" not in message
    assert "same" not in message
    assert "\n" not in message


def test_of_long_settings_only_what_differs_is_shown(tmp_path: Path):
    families = [f"Family {number}" for number in range(200)]
    take(tmp_path, families=families, **{f"key{n}": n for n in range(9)})
    with pytest.raises(OutputError) as caught:
        take(tmp_path, families=[*families[:150], "Other"], **{f"key{n}": n + 1 for n in range(9)})
    message = str(caught.value)
    assert "Family 149" in message and "Family 150" in message and "Other" in message
    assert "Family 100" not in message
    assert "key0 was 0, now 1" in message and "and 5 more" in message
    assert len(message) < 500 + len(str(tmp_path))


def test_what_cannot_be_read_is_not_taken_for_what_cannot_be_written(tmp_path: Path):
    with (
        pytest.raises(OutputError, match=r"absent.png cannot be read .*, which page.html is made from"),
        atomic(tmp_path / "out" / "page.html") as temporary,
    ):
        temporary.write_bytes((tmp_path / "in" / "absent.png").read_bytes())
    assert not list((tmp_path / "out").iterdir())


def test_the_folder_of_another_command_is_refused(tmp_path: Path):
    take(tmp_path)
    with (
        pytest.raises(OutputError, match="was made by `unblind test`, not by `unblind train`; name another"),
        claim(tmp_path, {"seed": 0}, made_by="unblind train"),
    ):
        pass


def test_foreign_content_is_refused_and_left_alone(tmp_path: Path):
    for name in "dbcae":
        (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=r"other content \(a, b, c and 2 more\)"):
        take(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == list("abcde")


@pytest.mark.parametrize("content", ["{}", "[1]", "torn {", '{"made_by": "someone"}', "\x00"])
def test_a_foreign_settings_file_is_foreign_content(tmp_path: Path, content: str):
    (tmp_path / SETTINGS).write_text(content)
    with pytest.raises(OutputError, match=r"other content \(settings.json\)"):
        take(tmp_path)
    assert (tmp_path / SETTINGS).read_text() == content


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        take(tmp_path / "out")


def test_what_a_killed_process_left_half_written_is_swept(tmp_path: Path):
    take(tmp_path)
    (tmp_path / ".a.parquet.0123456789ab.tmp").write_text("half")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / ".00000.0123456789ab.tmp").mkdir()
    (tmp_path / "train" / ".00000.0123456789ab.tmp" / "x.png").write_text("half")
    (tmp_path / ".mine.tmp").write_text("not ours")
    take(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".mine.tmp", LOCK, SETTINGS, "train"]


def test_a_second_process_is_refused_by_the_pid_of_the_first(tmp_path: Path, holder: subprocess.Popen[str]):
    with pytest.raises(OutputError, match=f"in use by process {holder.pid}"):
        take(tmp_path / "out")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_the_lock_ends_with_a_killed_process(tmp_path: Path, holder: subprocess.Popen[str]):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    take(tmp_path / "out")


def test_the_lock_is_released_when_the_block_fails(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), claim(tmp_path, {"seed": 0}, made_by="unblind test"):
        raise ZeroDivisionError
    take(tmp_path)
