"""Finished folders to one page."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import counting_task
from unblind.errors import DatasetError, OutputError
from unblind.report import write_report
from unblind.report.charts import POINTS
from unblind.report.load import load_runs, read_curve
from unblind.report.page import MAX_BYTES
from unblind.tasks import registry

HOSTILE = "<script>alert(1)</script><img src='http://evil.example/x' onerror=alert(2)>"
WORDS = ["hello", "world", "circle", "letter", "painted", "unblind"]


def png(side=64):
    out = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(out, "PNG")
    return out.getvalue()


def samples(n=60, words=WORDS):
    pairs = [(words[i % len(words)], i % 5) for i in range(n)]
    return [
        {"id": f"test-{i:03d}", "answer": word[index], "word": word, "index": index, "font": "Lato"}
        for i, (word, index) in enumerate(pairs)
    ]


def answered(sample, reply):
    said = {
        "free": reply,
        "restricted": reply,
        "probability": 0.8,
        "top5": json.dumps([[reply, 0.8], ["e", 0.1]]),
    }
    return {**sample, **said}


def as_table(rows):
    """All columns of all rows; pyarrow takes those of the first."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def write_evaluation(folder, predictions, **metrics):
    folder.mkdir(parents=True)
    pq.write_table(as_table(predictions), folder / "predictions.parquet")
    (folder / "metrics.json").write_text(json.dumps({"model": "tiny", "adapter": None, **metrics}))


def write_images(path, rows, image=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = image or png()
    table = [{**row, "image": {"bytes": data, "path": None}} for row in rows]
    pq.write_table(as_table(table), path, row_group_size=7)


def make_quickstart(folder, rows=None, words=WORDS):
    """Blind says the first letter of the word; after training, one answer in ten is its neighbour."""
    rows = rows or samples(words=words)
    write_evaluation(folder / "blind", [answered(s, s["word"][0]) for s in rows], data=str(folder / "data"))
    after = [
        answered(s, s["word"][s["index"] - 1] if i % 10 == 0 else s["answer"]) for i, s in enumerate(rows)
    ]
    write_evaluation(folder / "after", after, data=str(folder / "data"))
    write_images(folder / "data" / "data" / "test-00000-of-00001.parquet", rows)
    train = {"samples": 3200, "seconds": 61.0, "samples_per_second": 52.5, "trainable_parameters": 12345}
    sections = {name: json.loads((folder / name / "metrics.json").read_text()) for name in ("blind", "after")}
    (folder / "metrics.json").write_text(json.dumps({**sections, "train": train}))
    write_log(folder / "train" / "log.jsonl")
    return folder


def write_log(path, steps=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    losses = [
        {"step": s, "samples": s * 32, "loss": 3 / s, "learning_rate": 1e-3} for s in range(1, steps + 1)
    ]
    accuracies = [{"step": s, "samples": s * 32, "eval_accuracy": s / steps} for s in range(5, steps + 1, 5)]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in losses + accuracies))


class Page(HTMLParser):
    """What a browser would make of the page: its elements, and the text outside script and style."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.inside = [], "", None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.inside = tag
        if tag in ("td", "th"):
            self.text += " "

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = None

    def handle_data(self, data):
        if not self.inside:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(path):
    return Page(path.read_text("utf-8"))


def test_quickstart_page_says_what_matters(tmp_path):
    path = write_report(tmp_path / "out", [make_quickstart(tmp_path / "demo")])
    assert path == tmp_path / "out" / "report.html"
    text = " ".join(page(path).text.split())
    for expected in (
        "in 23.3 % of 60 images before",
        "in 90.0 % after",
        "3,200 training samples in 61 s",
        "12,345 trainable parameters",
        "answered 6 of 60 images wrong",
        "never asked about circles",
        "All 6 errors",
        "12 of 54 right answers",
        "79.9–95.3",  # Wilson's 95 % interval of 54 in 60
    ):
        assert expected in text


def test_the_first_things_are_the_sentence_and_the_picture(tmp_path):
    tags = [tag for tag, _ in page(write_report(tmp_path, [make_quickstart(tmp_path / "demo")])).elements]
    assert tags.index("h1") < tags.index("svg") < tags.index("h2")
    assert tags.count("svg") == 8  # overall, loss, validation, length, position, hard, confusions, confidence


def test_nothing_external_is_loaded(tmp_path):
    path = write_report(tmp_path, [make_quickstart(tmp_path / "demo")])
    html = path.read_text("utf-8")
    for tag, attributes in Page(html).elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    assert not re.search(r"url\((?!#)|@import|https?://", html)
    assert "default-src 'none'" in html


def test_the_page_runs_only_its_own_script(tmp_path):
    html = write_report(tmp_path, [make_quickstart(tmp_path / "demo")]).read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


def test_a_hostile_dataset_stays_text(tmp_path):
    rows = [
        {**s, "word": HOSTILE, "answer": HOSTILE, "font": HOSTILE, "id": f"{HOSTILE}{i}"}
        for i, s in enumerate(samples())
    ]
    folder = tmp_path / "demo"
    write_evaluation(
        folder,
        [answered(s, "$\\frac{" if i % 2 else "\x07</svg>") for i, s in enumerate(rows)],
        model=HOSTILE,
    )
    parsed = page(write_report(tmp_path, [folder]))
    assert len(parsed.all("script")) == 1
    assert not any("onerror" in attributes for _, attributes in parsed.elements)
    assert "<script>" in parsed.text  # shown, as text


def test_images_are_embedded_small_and_can_be_enlarged(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    write_images(folder / "data" / "data" / "test-00000-of-00001.parquet", samples(), image=png(300))
    parsed = page(write_report(tmp_path, [folder]))
    images = parsed.all("img")
    assert len(images) == 6 + 12
    assert all(image["src"].startswith("data:image/webp;base64,") for image in images)
    assert len(parsed.all("dialog")) == 1
    assert len([b for b in parsed.all("button") if b["class"] == "card"]) == 18


def test_the_page_stays_below_4_mb_whatever_the_images(tmp_path):
    rows = samples(30)
    write_evaluation(tmp_path / "e", [answered(s, "z") for s in rows], data=str(tmp_path / "big.parquet"))
    write_images(tmp_path / "big.parquet", rows, image=png(500))
    path = write_report(tmp_path, [tmp_path / "e"])
    assert 0 < len(page(path).all("img")) < 24  # noise packs badly: the budget holds only some
    assert path.stat().st_size < MAX_BYTES


def test_without_the_dataset_the_gallery_says_so(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    (folder / "data" / "data" / "test-00000-of-00001.parquet").unlink()
    parsed = page(write_report(tmp_path, [folder]))
    assert "images are not at hand" in parsed.text
    assert not parsed.all("img")


def test_unreadable_images_are_passed_over(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    write_images(folder / "data" / "data" / "test-00000-of-00001.parquet", samples(), image=png()[:200])
    assert not page(write_report(tmp_path, [folder])).all("img")


@pytest.mark.parametrize("changed", [{"answer": "Q"}, {"word": "elsewhere"}])
def test_a_dataset_that_holds_other_samples_is_refused(tmp_path, changed):
    folder = make_quickstart(tmp_path / "demo")
    file = folder / "data" / "data" / "test-00000-of-00001.parquet"
    write_images(file, [{**s, **changed} for s in samples()])
    with pytest.raises(DatasetError, match=r"data holds other samples .* 'test-0"):
        write_report(tmp_path, [folder])
    # ids that another split has as well are no contradiction
    write_images(file.with_name("train-00000-of-00001.parquet"), [{**s, **changed} for s in samples()])
    write_images(file, samples())
    assert page(write_report(tmp_path, [folder])).all("img")


OCCLUSION = {
    "n": 40,
    **{
        view: {
            "accuracy": {"value": share, "low": share - 0.1, "high": share + 0.1},
            "probability": share,
            "drop": 0.9 - share,
            "changed": 0.9 - share,
        }
        for view, share in {"whole": 0.9, "ellipse": 0.1, "letter": 0.2, "other": 0.85}.items()
    },
}


def test_what_covering_did_is_told_where_it_was_asked(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    assert "Where it looks" not in page(write_report(tmp_path, [folder])).text
    (folder / "after" / "occlusion.json").write_text(json.dumps(OCCLUSION))
    text = " ".join(page(write_report(tmp_path, [folder])).text.split())
    assert "Where it looks" in text and "After: 40 images" in text and "not asked" in text
    assert re.search(r"the circle ?not asked ?10\.0 %", text) and "+80.0" in text


@pytest.mark.parametrize("damage", [{"n": None}, {"ellipse": 3}, {"letter": {"drop": 1}}])
def test_damaged_occlusion_is_named(tmp_path, damage):
    folder = make_quickstart(tmp_path / "demo")
    (folder / "after" / "occlusion.json").write_text(json.dumps(OCCLUSION | damage))
    with pytest.raises(OutputError, match=r"occlusion\.json is not what"):
        write_report(tmp_path, [folder])


def test_the_benchmarks_schema_is_matched_by_row_number(tmp_path):
    rows = [{**s, "id": str(i)} for i, s in enumerate(samples(20))]
    write_images(tmp_path / "bench.parquet", [{"groundtruth": s["answer"]} for s in rows])
    write_evaluation(
        tmp_path / "e", [answered(s, s["answer"]) for s in rows], data=str(tmp_path / "bench.parquet")
    )
    parsed = page(write_report(tmp_path, [tmp_path / "e"]))
    assert len(parsed.all("img")) == 12
    assert "answered all 20 images right" in " ".join(parsed.text.split())


def test_a_generic_dataset_gets_a_page_without_breakdowns(tmp_path):
    rows = [{"id": i, "answer": "yes", "free": None, "restricted": "n"} for i in range(5)]
    write_evaluation(tmp_path / "e", rows)
    parsed = page(write_report(tmp_path, [tmp_path / "e"]))
    assert "By length" not in parsed.text
    assert "not asked" in parsed.text


def test_evaluations_of_the_same_samples_are_compared(tmp_path):
    rows = samples()
    write_evaluation(tmp_path / "base", [answered(s, "z") for s in rows])
    write_evaluation(tmp_path / "tuned", [answered(s, s["answer"]) for s in reversed(rows)])
    write_evaluation(tmp_path / "other", [answered(s, s["answer"]) for s in rows[:9]])
    write_log(tmp_path / "run" / "log.jsonl")
    runs = load_runs([tmp_path / name for name in ("base", "tuned", "other")])
    assert [run.names for run in runs] == [("base", "tuned"), ("other",)]
    path = write_report(tmp_path / "two.html", [tmp_path / name for name in ("base", "run", "tuned")])
    text = " ".join(page(path).text.split())
    assert "In the same 60 images, base named the circled letter in 0.0 %, tuned in 100.0 %" in text
    assert "How it learned" in text


def test_the_same_folders_give_the_same_bytes(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    first = write_report(tmp_path / "a.html", [folder]).read_bytes()
    assert write_report(tmp_path / "b.html", [folder]).read_bytes() == first


def test_a_long_log_is_thinned_for_drawing_and_counted_in_full(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    write_log(folder / "train" / "log.jsonl", steps=20_000)
    path = write_report(tmp_path, [folder])
    assert "20,000 measurements" in page(path).text
    assert path.stat().st_size < 400_000
    assert len(read_curve(folder / "train" / "log.jsonl").loss) > POINTS


def test_without_a_log_the_page_says_so(tmp_path):
    folder = make_quickstart(tmp_path / "demo")
    (folder / "train" / "log.jsonl").unlink()
    assert "No learning curve" in page(write_report(tmp_path, [folder])).text


def test_curve_takes_steps_where_samples_are_unknown(tmp_path):
    (tmp_path / "log.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n\n'
        '{"step": 2, "loss": NaN}\n'
        '{"step": 3, "eval_accuracy": 0.5, "loss": "x"}\n'
    )
    curve = read_curve(tmp_path / "log.jsonl")
    assert (curve.unit, curve.loss, curve.accuracy) == ("steps", ((1, 2.0),), ((3, 0.5),))


def test_a_broken_log_line_is_named(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"st')
    with pytest.raises(OutputError, match=r"log\.jsonl, line 2"):
        read_curve(tmp_path / "log.jsonl")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OutputError, match="nowhere is no folder"):
        write_report(tmp_path, [tmp_path / "nowhere"])


def test_a_folder_that_is_not_finished(tmp_path):
    write_evaluation(tmp_path / "e", [answered(s, "z") for s in samples()])
    (tmp_path / "e" / "metrics.json").unlink()
    with pytest.raises(OutputError, match="no finished quickstart or evaluation"):
        write_report(tmp_path / "r.html", [tmp_path / "e"])
    assert not (tmp_path / "r.html").exists()


def test_no_folders_at_all(tmp_path):
    with pytest.raises(OutputError, match="nothing to report"):
        write_report(tmp_path, [])


def test_corrupt_predictions_are_named(tmp_path):
    write_evaluation(tmp_path / "e", [answered(s, "z") for s in samples()])
    (tmp_path / "e" / "predictions.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DatasetError, match=r"e/predictions\.parquet is no readable parquet"):
        write_report(tmp_path, [tmp_path / "e"])


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_metrics_that_are_no_json_object(tmp_path, content):
    write_evaluation(tmp_path / "e", [answered(s, "z") for s in samples()])
    (tmp_path / "e" / "metrics.json").write_text(content)
    with pytest.raises(OutputError, match=r"metrics\.json holds no JSON"):
        write_report(tmp_path, [tmp_path / "e"])


def test_predictions_that_cannot_be_scored_name_the_file(tmp_path):
    write_evaluation(tmp_path / "e", [answered(samples()[0], "z")] * 2)
    with pytest.raises(DatasetError, match=r"predictions\.parquet: .*'test-000'"):
        write_report(tmp_path, [tmp_path / "e"])


def test_scoring_and_report_load_no_model():
    imports = "import sys, unblind.report, unblind.scoring.metrics"
    code = f"{imports}\nprint({{'torch', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_words_are_counted_by_their_free_answers(tmp_path):
    rows = [
        {**answered(s, s["word"] if i % 4 else "z"), "answer": s["word"], "restricted": None}
        for i, s in enumerate(samples())
    ]
    write_evaluation(tmp_path / "words", rows)
    text = " ".join(page(write_report(tmp_path / "r.html", [tmp_path / "words"])).text.split())
    assert "words named the circled letter in 75.0 % of 60 images" in text
    assert "Bars: free answers" in text and "answered 15 of 60 images wrong" in text
    assert "Free accuracy with 95 % Wilson intervals" in text and "Expected calibration error" not in text


def test_answers_that_were_not_asked_for_are_named(tmp_path):
    rows = [{**answered(s, "z"), "answer": s["word"], "restricted": None, "free": None} for s in samples()]
    write_evaluation(tmp_path / "mute", rows)
    with pytest.raises(
        DatasetError, match=r"predictions\.parquet: circled-letter has neither restricted nor"
    ):
        write_report(tmp_path / "r.html", [tmp_path / "mute"])


def test_errors_are_explained(tmp_path):
    text = " ".join(page(write_report(tmp_path, [make_quickstart(tmp_path / "demo")])).text.split())
    for expected in (
        "of 6 errors (",
        "Another letter of the word at random would be a neighbour in",
        "a letter of similar shape",
        "Which letter it is",
        "Expected calibration error",
        "Blind 56.7 %, After 10.0 %",  # sure of 80 %; right in 23.3 % and 90 %
        "80–90 %",
        "vlmevalkit",
    ):
        assert expected in text


def test_what_a_model_says_unseeing_is_listed_by_model(tmp_path):
    rows = samples()
    for name in ("base", "tuned"):
        found = [{**answered(s, s["answer"]), "blank": "e", "uncircled": s["answer"]} for s in rows]
        write_evaluation(tmp_path / name, found)
    text = " ".join(page(write_report(tmp_path, [tmp_path / "base", tmp_path / "tuned"])).text.split())
    assert "base, shown a blank image" in text
    assert "tuned, shown the word without its circle 60 100.0 %" in text


def with_twin(sample, right):
    twin = "x" if sample["answer"] != "x" else "y"
    reply = twin if right else sample["answer"]
    return {**sample, "twin_answer": twin, "twin_free": reply, "twin_restricted": reply}


def test_contrast_pairs_are_counted_by_model(tmp_path):
    rows = samples(20)
    seen = [with_twin(answered(s, s["answer"]), i % 4 > 0) for i, s in enumerate(rows)]
    write_evaluation(tmp_path / "paired", seen)
    write_evaluation(tmp_path / "alone", [answered(s, s["answer"]) for s in rows])
    both = page(write_report(tmp_path / "b.html", [tmp_path / "alone", tmp_path / "paired"]))
    text = " ".join(both.text.split())
    assert "Does it see, or guess?" in text
    assert "alone not asked paired 20 75.0 % 53.1–88.8 75.0 % 53.1–88.8" in text
    alone = page(write_report(tmp_path / "a.html", [tmp_path / "alone"]))
    assert "Does it see, or guess?" not in alone.text


def test_published_results_stand_apart(tmp_path):
    parsed = page(write_report(tmp_path, [make_quickstart(tmp_path / "demo")]))
    text = " ".join(parsed.text.split())
    assert "As printed, each number of its own images, prompts and rule" in text
    assert "All 1,248 images Prompts: both, averaged. Rule: paper." in text
    assert "GPT-4o 70.67" in text and "GPT-4o 74.23" in text and "Gemini 3 Pro" not in text
    assert "Newcombe" not in text  # nothing to pair with


def test_published_answers_to_the_same_images_are_paired(tmp_path):
    question = "Which letter is being circled?"
    rows = [{**s, "word": "Acknowledgement", "index": i % 15} for i, s in enumerate(samples(30))]
    rows = [{**s, "answer": s["word"][s["index"]], "prompt": question} for s in rows]
    record = [json.dumps({"GPT-4o": {question: i % 3 > 0}}) for i in range(30)]
    found = [{**answered(s, s["answer"]), "published": p} for s, p in zip(rows, record, strict=True)]
    write_evaluation(tmp_path / "e", found)
    parsed = page(write_report(tmp_path, [tmp_path / "e"]))
    text = " ".join(parsed.text.split())
    assert f"{question} GPT-4o 30 66.7 % 48.8–80.8 100.0 % +33.3 +" in text
    assert "open" in parsed.all("details")[-1]  # the results as printed, as these are the benchmark's words


@pytest.fixture
def dots(monkeypatch):
    """A second task, known by its name."""
    monkeypatch.setitem(registry.TASKS, counting_task.NAME, "counting_task")
    yield counting_task.TASK
    registry.task_named.cache_clear()


def dot_samples(n=40):
    return [
        {"id": f"dots-{i:03d}", "answer": str(1 + i % 4), "radius": 2 + i % 2, "task": "dots"}
        for i in range(n)
    ]


def two_tasks():
    return [{**s, "task": "circled-letter"} for s in samples()] + dot_samples()


def make_quickstart_of_two_tasks(folder):
    """Blind says `h` and 1; after training, one answer in ten is wrong, of the dots one in four."""
    rows = two_tasks()
    blind = [answered(s, "1" if s["task"] == "dots" else "h") for s in rows]
    after = [answered(s, s["answer"]) for s in rows]
    for i, s in enumerate(after):
        if s["task"] == "dots" and s["answer"] == "4":
            after[i] = answered(s, "3")
    for name, answers in (("blind", blind), ("after", after)):
        write_evaluation(folder / name, answers, data=str(folder / "data"))
    write_images(folder / "data" / "data" / "test-00000-of-00001.parquet", rows)
    (folder / "metrics.json").write_text(json.dumps({"blind": {}, "after": {}, "train": {"samples": 100}}))
    write_log(folder / "train" / "log.jsonl")
    return folder


def test_several_tasks_open_with_one_sentence_and_one_picture(tmp_path, dots):
    parsed = page(write_report(tmp_path, [make_quickstart_of_two_tasks(tmp_path / "demo")]))
    text = " ".join(parsed.text.split())
    first = ([s["answer"] for s in samples()].count("h") / 60 + 10 / 40) / 2
    assert f"On 2 tasks, the model was right in {100 * first:.1f} % of the images before" in text
    assert "and in 87.5 % after" in text
    assert [tag for tag, _ in parsed.elements if tag in ("h1", "svg")][:2] == ["h1", "svg"]
    assert len(parsed.all("h1")) == len(parsed.all("main")) == 1
    links = {a.get("href") for a in parsed.all("a")}
    ids = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    assert {"#circled-letter", "#dots"} <= links
    assert {link[1:] for link in links} <= ids
    for expected in (
        "How many dots are there? 40 25.0 %",
        "92.8 % Qwen3-VL-4B",  # the best published figure of letters; of dots there is none
        "100 training samples",
    ):
        assert expected in text
    assert text.index("How it learned") > text.index("The model counted the dots")


def test_each_task_has_its_own_part(tmp_path, dots):
    parsed = page(write_report(tmp_path, [make_quickstart_of_two_tasks(tmp_path / "demo")]))
    text = " ".join(parsed.text.split())
    letters, of_dots = text.split("The model counted the dots in", 1)
    assert "By length and position" in letters and "circled" not in of_dots
    for expected in (
        "25.0 % of 40 images before it was trained on the question, and in 75.0 % after",
        "In 100.0 % of 10 errors (72.2–100.0) it named one dot too many or too few: it nearly counted.",
        "Another number at random would be one off in 33.3 %",
        "By count",
        "Radius, px: 2",
        "drawn answered times 4 3 10 of 10",
        "The most probable of 1, 2, 3 and 4 as what",
        "One of the 4 possible answers at random.",
        "the same, by radius",
    ):
        assert expected in of_dots
    assert len(parsed.all("img")) == 6 + 10 + 6  # right letters; wrong and right dots


def test_contrast_pairs_of_several_tasks_stand_beside_the_accuracies(tmp_path, dots):
    rows = [answered(s, s["answer"]) for s in two_tasks()]
    paired = [with_twin(row, i % 4 > 0) if row["task"] == "dots" else row for i, row in enumerate(rows)]
    write_evaluation(tmp_path / "base", rows)
    write_evaluation(tmp_path / "tuned", paired)
    text = " ".join(
        page(write_report(tmp_path / "r.html", [tmp_path / "base", tmp_path / "tuned"])).text.split()
    )
    assert "base, both of a pair tuned, both of a pair" in text
    assert "not asked 75.0 % 59.8–85.8" in text


def test_evaluations_of_several_tasks_are_compared(tmp_path, dots):
    rows = two_tasks()
    write_evaluation(tmp_path / "base", [answered(s, "1") for s in rows])
    write_evaluation(tmp_path / "tuned", [answered(s, s["answer"]) for s in reversed(rows)])
    text = " ".join(
        page(write_report(tmp_path / "r.html", [tmp_path / "base", tmp_path / "tuned"])).text.split()
    )
    assert "On the same 2 tasks, base was right in 12.5 % of the images, tuned in 100.0 %" in text
    assert "In the same 40 images, base counted the dots in 25.0 %, tuned in 100.0 %" in text
    only = " ".join(page(write_report(tmp_path / "o.html", [tmp_path / "base"])).text.split())
    assert "On 2 tasks, base was right in 12.5 % of the images." in only


def test_covering_is_told_by_task(tmp_path, dots):
    folder = make_quickstart_of_two_tasks(tmp_path / "demo")
    views = {"n": 8, **dict.fromkeys(("whole", "dots"), OCCLUSION["ellipse"])}
    (folder / "after" / "occlusion.json").write_text(json.dumps({"tasks": {"dots": views}}))
    text = " ".join(page(write_report(tmp_path, [folder])).text.split())
    assert text.count("Where it looks") == 1 and "Without dots there is nothing to count." in text
    assert "all dots not asked 10.0 %" in text


def test_a_picture_that_is_asked_about_otherwise_is_the_same_sample(tmp_path):
    rows = [{**s, "scene": f"scene {i}"} for i, s in enumerate(samples(8))]
    write_images(tmp_path / "data" / "data" / "test.parquet", rows)
    other = [answered({**s, "answer": "Q"}, "Q") for s in rows]
    write_evaluation(tmp_path / "e", other, data=str(tmp_path / "data"))
    assert len(page(write_report(tmp_path / "r.html", [tmp_path / "e"])).all("img")) == 8
    changed = [{**s, "scene": "another"} for s in rows]
    write_images(tmp_path / "data" / "data" / "test.parquet", changed)
    with pytest.raises(DatasetError, match="holds other samples"):
        write_report(tmp_path / "r.html", [tmp_path / "e"])


def test_accuracy_by_font_knows_its_clusters(tmp_path):
    rows = [{**s, "font": ("Lato", "Roboto", "Manrope")[i % 3]} for i, s in enumerate(samples())]
    write_evaluation(tmp_path / "e", [answered(s, s["answer"] if i % 3 else "z") for i, s in enumerate(rows)])
    text = " ".join(page(write_report(tmp_path / "r.html", [tmp_path / "e"])).text.split())
    assert "the same, by font" in text and "there are groups (3)" in text


def test_nothing_in_the_report_knows_a_task():
    words = re.compile(r"\b(letters?(?!-spacing)|words?|circled|circles?|ellipses?|52)\b", re.IGNORECASE)
    files = [path for path in Path(load_runs.__code__.co_filename).parent.iterdir() if path.is_file()]
    known = {path.name: found for path in files if (found := set(words.findall(path.read_text("utf-8"))))}
    assert known == {"report.css": {"circle"}}  # the colour of the logo's ring
    assert len(files) > 8
