"""How the tiny base is made: first its tower learns to see letters, then the whole model learns to read.

See: for each half patch, which letter stands there, whether it is circled, and its place in the word; the
three heads are thrown away afterwards. Read: the answer to "Read the word.", through the language side.
Polish: both at once, every image telling the tower and the language side alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.data import DataLoader
from transformers import PaliGemmaForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling

from unblind.errors import FontsError
from unblind.models.loading import choose_device, choose_dtype
from unblind.models.paligemma import FAMILY
from unblind.models.published_files import publish
from unblind.recipe import PretrainOptions
from unblind.runtime.device_memory import keep_freed_memory
from unblind.tasks.fonts import Font, find_fonts
from unblind.tiny.build import GRID, VOCABULARY, new_model, new_processor
from unblind.tiny.heads import Heads
from unblind.tiny.lessons import Lesson, Lessons
from unblind.tiny.log import Log
from unblind.tiny.muon import Muon

Stage = Literal["see", "read", "polish"]


# The patches that the heads of the first layers attend to at first: (rows down, columns right).
_OFFSETS = (
    ((0, -1), (0, 1), (-1, 0), (1, 0)),
    ((0, -1), (0, 1), (-2, 0), (2, 0)),
    ((0, -2), (0, 2), (-1, 0), (1, 0)),
)
_SHARPNESS = 1.6


@torch.no_grad()
def attend_to_neighbours(model: PaliGemmaForConditionalGeneration) -> None:
    """Start the tower's first three layers with heads that attend to neighbouring patches.

    Positions start as sinusoids, on which a shift is a rotation; queries are turned by the head's offset.
    After Zheng et al., "Structured initialization for attention in vision transformers" (arXiv 2404.01139).
    """
    tower = model.model.vision_tower
    config: Any = tower.config
    width = config.hidden_size // config.num_attention_heads
    count = width // 4  # frequencies an axis, a sine and a cosine each
    frequencies = torch.pi / GRID * torch.arange(1, count + 1)
    axis = torch.arange(GRID)[:, None] * frequencies
    waves = torch.stack([axis.sin(), axis.cos()], dim=-1).flatten(1)  # (16, 2 x count)
    places = torch.cat(
        [waves[:, None].expand(GRID, GRID, -1), waves[None].expand(GRID, GRID, -1)], dim=-1
    ).flatten(0, 1)
    tower.embeddings.position_embedding.weight[:, :width] = places
    tower.embeddings.patch_embedding.weight[:width] *= 0.1
    for layer, offsets in zip(tower.encoder.layers, _OFFSETS, strict=False):
        for head, (down, right) in enumerate(offsets):
            rows = slice(head * width, (head + 1) * width)
            turn = torch.block_diag(  # type: ignore[no-untyped-call]
                *(_turn(f * down) for f in frequencies), *(_turn(f * right) for f in frequencies)
            )
            for matrix, start in (
                (layer.self_attn.q_proj.weight, turn),
                (layer.self_attn.k_proj.weight, torch.eye(width)),
            ):
                matrix[rows] *= 0.3
                matrix[rows, :width] = _SHARPNESS * start


def _turn(angle: torch.Tensor) -> torch.Tensor:
    """What takes (sin a, cos a) to (sin(a + angle), cos(a + angle))."""
    sine, cosine = angle.sin(), angle.cos()
    return torch.stack([torch.stack([cosine, sine]), torch.stack([-sine, cosine])])


def look(model: PaliGemmaForConditionalGeneration, lesson: Lesson) -> torch.Tensor:
    """The tower's tokens of the lesson's patches, each with the position it has in the whole picture.

    Returns:
        (batch, kept, width).
    """
    tower = model.model.vision_tower
    embedding = tower.embeddings.patch_embedding
    pixels = lesson.pixels.flatten(2).float() / 127.5 - 1
    patches = F.linear(pixels, embedding.weight.flatten(1), embedding.bias)
    seen = tower.encoder(inputs_embeds=patches + tower.embeddings.position_embedding(lesson.index))
    tokens: torch.Tensor = tower.post_layernorm(seen.last_hidden_state)
    return tokens


def read_aloud(
    model: PaliGemmaForConditionalGeneration, tokens: torch.Tensor, lesson: Lesson, rows: int
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of the answers, and the shares of letters and of whole answers that are right.

    Args:
        model: the model.
        tokens: (batch, kept, width) from the tower.
        lesson: what was looked at.
        rows: rows of patches, around the letters' waists, whose tokens the language side gets. All keep the
            places that they have in the whole picture: position ids are those.
    """
    tokens, places, seen = _around_text(tokens, lesson, rows)
    images = torch.where(seen, VOCABULARY["<image>"], VOCABULARY["<pad>"])
    ids = torch.cat([images, lesson.ids], dim=1)
    answer = torch.cat([torch.zeros_like(seen), lesson.answer], dim=1)
    text = torch.arange(GRID * GRID, GRID * GRID + lesson.ids.shape[1], device=ids.device)
    target = torch.zeros_like(answer)
    target[:, :-1] = answer[:, 1:]  # where an answer's token is predicted
    features = model.model.multi_modal_projector(tokens[seen][None])
    output = model.model(
        input_ids=ids,
        attention_mask=(ids != VOCABULARY["<pad>"]).long(),
        token_type_ids=answer.long(),
        position_ids=torch.cat([places, text.expand(len(ids), -1)], dim=1) + 1,  # PaliGemma counts from 1
        mm_encoder_outputs={"image": BaseModelOutputWithPooling(pooler_output=features)},
        use_cache=False,
    )
    logits = model.lm_head(output.last_hidden_state[target]).float()
    cap = model.config.get_text_config().final_logit_softcapping
    logits = torch.tanh(logits / cap) * cap
    labels = ids[answer]
    right = logits.argmax(-1) == labels
    wrong = torch.zeros_like(answer)
    wrong[target] = ~right
    return F.cross_entropy(logits, labels), {
        "read letters": right[labels != VOCABULARY["<eos>"]].float().mean(),
        "read words": 1 - wrong.any(1).float().mean(),
    }


def _around_text(
    tokens: torch.Tensor, lesson: Lesson, rows: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The tokens of some rows around the text, padded; their places in the whole; which are no padding."""
    first = lesson.waist[:, None] - rows // 2
    row = lesson.index // GRID
    near = (first <= row) & (row < first + rows)
    most = int(near.sum(1).max())
    order = (~near).int().argsort(stable=True)[:, :most]
    picked = tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))
    return picked, lesson.index.gather(1, order), near.gather(1, order)


def pretrain(out: Path, recipe: PretrainOptions) -> None:
    """Make the tiny base; started again after an interruption, go on from the last checkpoint.

    Args:
        out: gets `checkpoint/` (model and processor), `state.pt` and `log.jsonl`.
        recipe: what to do.
    """
    out.mkdir(parents=True, exist_ok=True)
    keep_freed_memory(choose_device(recipe.device))
    torch.manual_seed(recipe.seed)
    model = new_model(recipe.seed)
    attend_to_neighbours(model)
    heads = Heads(model.model.multi_modal_projector.linear.in_features, circles=recipe.circles)
    state = _load(out / "state.pt")
    if state:
        model.load_state_dict(state["model"])
        heads.load_state_dict(state["heads"])
    elif recipe.start:
        model = PaliGemmaForConditionalGeneration.from_pretrained(recipe.start, dtype=torch.float32)
    begun: Stage = state["stage"] if state else "polish" if recipe.start else "see"
    stages: tuple[Stage, ...] = ("see", "read", "polish")
    for stage in stages[stages.index(begun) :]:
        _run(stage, model, heads, recipe, out, state if state and state["stage"] == stage else None)
    save_base(model, out / "checkpoint")


def save_base(model: PaliGemmaForConditionalGeneration, folder: Path) -> None:
    """Save the base and its processor by their published names. The model is moved to the CPU, as bfloat16.

    That is half the size on disk; it is loaded as float32 where that is faster.
    """
    nn.Module.to(model, "cpu", torch.bfloat16)
    model.save_pretrained(folder)
    new_processor().save_pretrained(folder)
    publish(folder, FAMILY)


def _run(
    stage: Stage,
    model: PaliGemmaForConditionalGeneration,
    heads: Heads,
    recipe: PretrainOptions,
    out: Path,
    state: dict[str, Any] | None,
) -> None:
    steps = {"see": recipe.see_steps, "read": recipe.read_steps, "polish": recipe.polish_steps}[stage]
    device = choose_device(recipe.device)
    faster = torch.autocast(device.type, torch.bfloat16, choose_dtype(recipe.dtype, device) == torch.bfloat16)
    nn.Module.to(model, device)
    heads.to(device)
    optimizers = _optimizers(stage, model, heads, recipe)
    first = state["step"] if state else 0
    if state:
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    model.train()
    log = Log(out / "log.jsonl", stage, state or {})
    for step, lessons in enumerate(_lessons(stage, recipe, first, steps), first):
        frozen = (stage == "read" and step < recipe.frozen * steps) or (stage == "polish" and step < 50)
        _schedule(optimizers, step, steps, frozen, decay=0.5 if stage == "polish" else 0.3)
        # the text's own rows are read faster; every fifth lesson is read with all of them
        rows = 2 * GRID if step % 5 == 0 else 1 if frozen else 2
        shares: dict[str, torch.Tensor] = {}
        for lesson in lessons:
            with faster:
                loss, right = _examine(stage, model, heads, lesson.to(device), rows, frozen)
            loss.backward()  # type: ignore[no-untyped-call]
            shares |= right | {"loss" if len(lesson.ids) else "drawn loss": loss}
        nn.utils.clip_grad_norm_([p for o in optimizers for g in o.param_groups for p in g["params"]], 1.0)
        for optimizer in optimizers:
            with faster:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        log.add(step + 1, sum(len(lesson.pixels) for lesson in lessons), shares)
        if (step + 1) % recipe.save_every == 0 or step + 1 == steps:
            _save(out / "state.pt", stage, step + 1, model, heads, optimizers, log)


def _examine(
    stage: Stage,
    model: PaliGemmaForConditionalGeneration,
    heads: Heads,
    lesson: Lesson,
    rows: int,
    frozen: bool,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The stage's loss on a lesson, and the shares of what is right."""
    with torch.set_grad_enabled(not frozen):
        tokens = look(model, lesson)
    parts = []
    if stage != "read":
        parts.append(heads.forward(tokens, lesson))
    if stage != "see" and len(lesson.ids):
        parts.append(read_aloud(model, tokens, lesson, rows))
    right = {name: share for _, shares in parts for name, share in shares.items()}
    return torch.stack([loss for loss, _ in parts]).sum(), right


def _fonts(recipe: PretrainOptions) -> tuple[Font, ...]:
    """The training split's fonts among those that the recipe names.

    Raises:
        FontsError: a source that does not exist, or families that are not found or held out.
    """
    fonts = find_fonts(*recipe.font_sources).of_split("train")
    named = {*recipe.families, *recipe.neighbours}
    missing = sorted(named - {font.family for font in fonts})
    if missing:
        raise FontsError(
            f"the recipe's families {', '.join(missing)} are not among the training fonts of"
            f" {', '.join(recipe.font_sources)}; install them (docs/tiny-base.md) or shorten the list"
        )
    return tuple(font for font in fonts if not recipe.families or font.family in named)


def _lessons(stage: Stage, recipe: PretrainOptions, first: int, steps: int) -> Iterator[tuple[Lesson, ...]]:
    """Lessons drawn by one background process, ahead of the training."""
    growth = int({"see": 0.05, "read": 0.2, "polish": 0.0}[stage] * steps)
    seed = {"see": 2 * recipe.seed, "read": 2 * recipe.seed + 1, "polish": 1_000_000 + recipe.seed}[stage]
    larger = 0.5 if stage == "polish" else 0.25
    lessons = Lessons(
        fonts=_fonts(recipe),
        seed=seed,
        first=first,
        last=steps,
        printed=recipe.printed,
        drawn=recipe.drawn if recipe.circles and stage != "read" else 0,
        growth=growth,
        larger=larger,
        neighbours=recipe.neighbours,
    )
    yield from DataLoader(lessons, batch_size=None, num_workers=1, prefetch_factor=4)


def _optimizers(
    stage: Stage, model: PaliGemmaForConditionalGeneration, heads: Heads, recipe: PretrainOptions
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest; the tower in groups of its own."""
    tower = dict(model.model.vision_tower.named_parameters())
    others = {} if stage == "read" else dict(heads.named_parameters())
    if stage != "see":
        others |= dict(model.model.language_model.named_parameters())
        others |= dict(model.model.multi_modal_projector.named_parameters())
    share = recipe.tower_lr if stage == "read" else 1.0
    peak = recipe.polish_lr if stage == "polish" else 1.0

    def part(parameters: dict[str, nn.Parameter], matrices: bool) -> list[nn.Parameter]:
        return [p for n, p in parameters.items() if ("layers." in n and p.dim() == 2) == matrices]

    muon = Muon(part(tower, True), lr=recipe.muon_lr * share)
    if stage != "see":
        muon.add_param_group({"params": part(others, True), "lr": recipe.muon_lr})
    adamw = torch.optim.AdamW(
        [
            {"params": part(tower, False), "lr": recipe.adamw_lr * share},
            {"params": part(others, False), "lr": recipe.adamw_lr},
        ],
        betas=(0.9, 0.98),
        weight_decay=0.0,
    )
    for optimizer in (muon, adamw):
        for group in optimizer.param_groups:
            group["peak"] = peak * group["lr"]
    return [muon, adamw]


def _schedule(
    optimizers: list[torch.optim.Optimizer], step: int, steps: int, frozen: bool, decay: float
) -> None:
    """Constant after a short warm-up, then linear to zero over the last share; a frozen tower gets none."""
    share = min(1.0, (step + 1) / 50, (steps - step) / (decay * steps))
    for optimizer in optimizers:
        for i, group in enumerate(optimizer.param_groups):
            group["lr"] = 0.0 if frozen and i == 0 else group["peak"] * share


def _save(
    path: Path,
    stage: Stage,
    step: int,
    model: nn.Module,
    heads: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    log: Log,
) -> None:
    state = {
        "stage": stage,
        "step": step,
        **log.state,
        "model": model.state_dict(),
        "heads": heads.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _load(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
