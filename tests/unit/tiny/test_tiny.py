"""The embedded base: its size, its tokenizer, what it learns from, and that making it can be interrupted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unblind.tiny.pretrain as module
from unblind.errors import FontsError
from unblind.models.embedded import EMBEDDED
from unblind.models.loading import load
from unblind.recipe import PretrainOptions, load_recipe
from unblind.tasks.fonts import find_fonts, split_of_family
from unblind.tasks.words import LETTERS, split_of
from unblind.tiny.build import GRID, VOCABULARY, new_model, new_processor
from unblind.tiny.heads import Heads
from unblind.tiny.lessons import Lesson, Lessons, encode, encode_texts
from unblind.tiny.log import Log
from unblind.tiny.muon import Muon, orthogonalise
from unblind.tiny.patches import IGNORE
from unblind.tiny.pretrain import attend_to_neighbours, look, pretrain, read_aloud
from unblind.tiny.printed import BLANK, THIN, Printer

FONTS = find_fonts().of_split("train")


def lessons(seed: int = 0, **options: int) -> Lessons:
    given = {"first": 0, "last": 1, "printed": 12, "drawn": 6, "growth": 0} | options
    return Lessons(fonts=FONTS, seed=seed, **given)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return lessons(3).group(1)[2][0]


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_checkpoint_is_small_and_of_the_real_architecture(name: str) -> None:
    assert (EMBEDDED[name] / "model.safetensors").stat().st_size <= 12_000_000
    loaded = load(name)
    config = loaded.model.config
    assert (config.model_type, config.text_config.model_type) == ("paligemma", "gemma2")
    assert (config.vision_config.image_size, config.vision_config.patch_size) == (224, 14)
    assert loaded.processor.image_seq_length == 256
    assert loaded.processor.tokenizer.get_vocab() == VOCABULARY


def test_every_letter_is_one_token_and_lessons_encode_as_the_tokenizer_does() -> None:
    tokenizer = new_processor().tokenizer
    for text in (LETTERS, "Read the word.\n", "What is letter 3?\n", "(a) {b}"):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == encode(text)
    assert len(encode(LETTERS)) == 52


def test_lessons_depend_on_seed_and_number_alone() -> None:
    whole = list(lessons(3, last=8))
    again = list(lessons(3, first=2, last=8))
    for one, other in zip(sum(whole[2:], ()), sum(again, ()), strict=True):
        assert torch.equal(one.pixels, other.pixels) and torch.equal(one.index, other.index)
        assert all(torch.equal(one.labels[name], other.labels[name]) for name in one.labels)
        assert torch.equal(one.ids, other.ids)
    other = lessons(4).group(0)[0][0]
    assert whole[0][0].pixels.shape != other.pixels.shape or not torch.equal(whole[0][0].pixels, other.pixels)


def test_lessons_have_as_many_pictures_as_asked_for() -> None:
    assert [tuple(len(lesson.index) for lesson in step) for step in lessons(last=6)] == [(12, 6)] * 6
    assert [tuple(len(lesson.index) for lesson in step) for step in lessons(drawn=0, last=2)] == [(12,)] * 2


def test_thin_fonts_are_drawn_more_often_than_their_families_are() -> None:
    printer, rng = Printer(FONTS, 0.25, ()), np.random.default_rng(0)
    thin = [bool(THIN.search(printer.pick_font(rng).style)) for _ in range(2000)]
    families = {font.family for font in FONTS}
    by_chance = sum(
        sum(bool(THIN.search(f.style)) for f in FONTS if f.family == family)
        / sum(f.family == family for f in FONTS)
        for family in families
    ) / len(families)
    assert np.mean(thin) == pytest.approx(0.2 + 0.8 * by_chance, abs=0.05)


def test_neighbours_are_drawn_more_often() -> None:
    family = FONTS[0].family
    shares = []
    for neighbours in ((), (family,)):
        printer, rng = Printer(FONTS, 0.25, neighbours), np.random.default_rng(0)
        shares.append(np.mean([printer.pick_font(rng).family == family for _ in range(2000)]))
    assert shares[1] == pytest.approx(shares[0] + 0.8 * 0.2 * (1 - shares[0]), abs=0.04)


def test_labels_spell_the_words_from_left_to_right() -> None:
    checked = 0
    for lesson, _ in lessons(printed=40).group(0):
        letters, places, circled = (lesson.labels[name].flatten(1) for name in ("letter", "place", "circled"))
        for i in range(len(lesson.pixels)):
            if (letters[i] == IGNORE).any():
                continue
            spelt = [LETTERS[k - 1] for k in letters[i][letters[i] > BLANK].tolist()]
            ids = lesson.ids[i, lesson.answer[i]].tolist()[:-1]
            if len(ids) > 1:  # a whole word, not one letter of it
                assert [VOCABULARY[letter] for letter in spelt] == ids
                assert places[i][letters[i] > BLANK].tolist() == list(range(len(ids)))
                assert (circled[i] == 1).sum() <= 1
                checked += 1
    assert checked > 50


def test_lessons_hold_training_words_alone_and_never_ask_about_circles() -> None:
    printer, rng = Printer(FONTS, 0.25, ()), np.random.default_rng(0)
    words = [printer._word(rng, 20) for _ in range(300)]
    assert {split_of(word) for word in words if len(word) >= 3} == {"train"}
    characters = {number: character for character, number in VOCABULARY.items() if len(character) == 1}
    questions = [
        "".join(characters.get(number, "") for number in ids[~answer].tolist()).replace("▁", " ").strip()
        for lesson, _ in lessons(1, printed=50).group(0)
        for ids, answer in zip(lesson.ids, lesson.answer, strict=True)
    ]
    assert len(questions) > 200
    allowed = re.compile(r"What is letter \d+\?|(Read|Spell) the word\.")
    assert not [question for question in questions if not allowed.fullmatch(question)]


def test_ids_are_question_answer_end() -> None:
    ids, answer = encode_texts([("Q", "ab"), ("QQ", "a")])
    bos, eos, pad = (VOCABULARY[f"<{name}>"] for name in ("bos", "eos", "pad"))
    q, newline, a, b = (VOCABULARY[c] for c in "Q\nab")
    assert ids.tolist() == [[bos, q, newline, a, b, eos], [bos, q, q, newline, a, eos]]
    assert answer.sum(1).tolist() == [3, 2] and pad not in ids


def test_muon_orthogonalises_and_lowers_a_loss() -> None:
    torch.manual_seed(0)
    for shape in ((3, 8, 20), (2, 20, 8)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert float(values.min()) > 0.5 and float(values.max()) < 1.5
    weight, target = torch.nn.Parameter(torch.zeros(6, 4)), torch.randn(6, 4)
    muon = Muon([weight], lr=0.1)
    losses = []
    for _ in range(60):
        muon.zero_grad()
        loss = (weight - target).square().mean()
        loss.backward()
        muon.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_heads_start_at_neighbours(lesson: Lesson) -> None:
    model = new_model()
    attend_to_neighbours(model)
    tower = model.model.vision_tower
    positions = tower.embeddings.position_embedding.weight
    attention = tower.encoder.layers[0].self_attn
    hidden = tower.encoder.layers[0].layer_norm1(positions)
    queries, keys = (
        p(hidden).view(GRID * GRID, 4, 48).transpose(0, 1) for p in (attention.q_proj, attention.k_proj)
    )
    middle = GRID // 2 * (GRID + 1)
    found = (queries @ keys.mT)[:, middle].argmax(-1).tolist()
    assert found == [middle - 1, middle + 1, middle - GRID, middle + GRID]
    assert look(model, lesson).shape == (*lesson.index.shape, 192)


def test_patches_are_read_as_the_model_itself_reads_the_picture() -> None:
    """With all patches, the loss is that of the model's own forward pass on the whole picture."""
    printed = (one for one, _ in lessons(printed=3, drawn=1, last=500))
    lesson = next(one for one in printed if one.index.shape[1] == GRID * GRID)
    model = new_model().eval()
    with torch.no_grad():
        loss, _ = read_aloud(model, look(model, lesson), lesson, 2 * GRID)
        images = torch.full(lesson.index.shape, VOCABULARY["<image>"])
        ids = torch.cat([images, lesson.ids], dim=1)
        answer = torch.cat([torch.zeros_like(images, dtype=torch.bool), lesson.answer], dim=1)
        rows = lesson.pixels.unflatten(1, (GRID, GRID)).permute(0, 3, 1, 4, 2, 5)
        own = model(
            input_ids=ids,
            pixel_values=rows.flatten(4).flatten(2, 3) / 127.5 - 1,
            attention_mask=(ids != VOCABULARY["<pad>"]).long(),
            token_type_ids=answer.long(),
            labels=ids.masked_fill(~answer, -100),
        ).loss
    assert float(loss) == pytest.approx(float(own), abs=1e-5)


def test_the_first_stage_learns(lesson: Lesson) -> None:
    model, heads = new_model(), Heads(192)
    parameters = [*model.model.vision_tower.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    losses = []
    for _ in range(6):
        loss, _ = heads(look(model, lesson), lesson)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_patches_left_out_change_no_places(lesson: Lesson) -> None:
    model = new_model().eval()
    with torch.no_grad():
        whole = look(model, lesson)
        order = torch.randperm(lesson.index.shape[1])
        turned = replace(lesson, pixels=lesson.pixels[:, order], index=lesson.index[:, order])
        torch.testing.assert_close(look(model, turned), whole[:, order], rtol=0, atol=1e-5)
        moved = replace(lesson, index=lesson.index.roll(1, 1))
        assert (look(model, moved) - whole).abs().max() > 1e-3


@pytest.mark.parametrize("saves", [1, 4, 6])
def test_pretraining_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    options = PretrainOptions(see_steps=3, read_steps=2, polish_steps=2, printed=4, drawn=3, save_every=1)
    pretrain(tmp_path / "whole", options)
    save, done = module._save, []

    def save_and_stop(*arguments: Any) -> None:
        save(*arguments)
        done.append(1)
        if len(done) == saves:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(tmp_path / "parts", options)
    assert not (tmp_path / "parts" / "checkpoint").exists()
    pretrain(tmp_path / "parts", options)
    whole, parts = (
        load(str(tmp_path / name / "checkpoint")).model.state_dict() for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_the_log_of_an_interrupted_run_reads_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def steps(log: Log, first: int, last: int) -> dict[str, float]:
        for step in range(first, last + 1):
            log.add(step, images=3, shares={"loss": torch.tensor(float(step))})
        return log.state | {"step": last}

    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    for path in (whole, parts):
        steps(Log(path, "see", {}), 1, 20)
    steps(Log(whole, "read", {}), 1, 60)
    first = Log(parts, "read", {})
    saved = steps(first, 1, 40)
    steps(first, 41, 60)  # lost, as is a line that was being written
    with parts.open("a") as file:
        file.write('{"stage": "re')
    steps(Log(parts, "read", saved), 41, 60)

    def read(path: Path) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [{k: v for k, v in row.items() if "second" not in k} for row in rows]

    assert read(parts) == read(whole)
    assert [(row["stage"], row["step"], row["images"], row["loss"]) for row in read(whole)] == [
        ("see", 20, 60, 10.5),
        ("read", 20, 60, 10.5),
        ("read", 40, 120, 30.5),
        ("read", 60, 180, 50.5),
    ]


def test_a_checkpoint_is_polished_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblind.tiny.log.EVERY", 1)
    base = tmp_path / "base"
    new_model().save_pretrained(base)
    options = PretrainOptions(see_steps=1, read_steps=1, polish_steps=2, printed=4, drawn=3, start=str(base))
    pretrain(tmp_path / "polished", options)
    rows = [json.loads(line) for line in (tmp_path / "polished" / "log.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [("polish", 1), ("polish", 2)]
    before = new_model().state_dict()
    after = load(str(tmp_path / "polished" / "checkpoint"), dtype="float32").model.state_dict()
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(before[name], after[name])
    assert torch.allclose(before[name], after[name], atol=0.05)


def test_the_recipe_of_the_base_is_the_default() -> None:
    recipe = PretrainOptions(**load_recipe("tiny-base", PretrainOptions))
    fonts = {"font_sources": ("bundled",), "families": (), "neighbours": ()}
    assert replace(recipe, **fonts) == PretrainOptions()
    assert set(recipe.neighbours) < set(recipe.families)
    assert {split_of_family(family) for family in recipe.families} == {"train"}


def test_held_out_families_are_refused(tmp_path: Path) -> None:
    recipe = PretrainOptions(families=("Lato", "Source Serif Pro"))
    with pytest.raises(FontsError, match="Source Serif Pro are not among the training fonts of bundled"):
        pretrain(tmp_path / "base", recipe)


def test_every_family_is_drawn_as_often_as_any_other() -> None:
    fonts = [font for font in FONTS if font.family in {"Fredoka One", "Lato"}]
    printer, rng = Printer(fonts, 0.25, ()), np.random.default_rng(0)
    drawn = [printer._scene(rng, 5)[1].family for _ in range(200)]
    assert 70 < drawn.count("Lato") < 130  # of Lato there are ten styles, of Fredoka One a single one


def test_without_circles_the_tower_is_not_told_which_letter_is_circled(lesson: Lesson) -> None:
    tokens = look(new_model(), lesson)
    circled = lesson.labels["circled"]
    swapped = torch.where(circled == IGNORE, circled, 1 - circled)
    other = replace(lesson, labels=lesson.labels | {"circled": swapped})
    losses = [
        [heads(tokens, one)[0] for one in (lesson, other)]
        for heads in (Heads(192), Heads(192, circles=False))
    ]
    assert [bool(first == second) for first, second in losses] == [False, True]
