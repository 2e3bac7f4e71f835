"""How likely each of a few replies is, of one token or of several, behind one question.

The replies of several tokens form a tree of prefixes. All its nodes go through the model at once, behind the
question in the cache; each sees the question and the nodes before it on its own branch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from unblind.errors import ModelError
from unblind.models.finite import refuse_non_finite
from unblind.models.loading import Loaded

LOGITS_AT_ONCE = 2**26  # 256 MiB of float32


def choice_tokens(loaded: Loaded, replies: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The tokens of each reply: one where that suffices for all of them, else with the end of the sequence.

    Raises:
        ModelError: the tokenizer cannot write a reply, or writes two alike.
    """
    whole = tuple(tuple(loaded.family.reply_tokens(loaded.processor, reply)) for reply in replies)
    tokens = tuple(tuple(written_tokens(loaded, reply)) for reply in replies)
    unknown = loaded.processor.tokenizer.unk_token_id
    strange = [
        reply
        for reply, ids in zip(replies, tokens, strict=True)
        if not ids or unknown in ids or tokens.count(ids) > 1
    ]
    if strange:
        raise ModelError(
            f"this model's tokenizer has no tokens of its own for the answer {strange[0]!r};"
            " name another model (--model)"
        )
    return tokens if all(len(ids) == 1 for ids in tokens) else whole


def written_tokens(loaded: Loaded, reply: str) -> list[int]:
    """The tokens of a reply without what ends it."""
    return loaded.family.reply_tokens(loaded.processor, reply)[:-1]


def fork(cache: Any, rows: Tensor | None = None) -> Any:
    """A cache that goes on from another, which stays as it is; for all rows, or some.

    Layers replace their tensors when they grow, so that a shallow copy is enough.
    """
    branch = copy.copy(cache)
    branch.layers = [copy.copy(layer) for layer in cache.layers]
    if rows is not None:
        branch.batch_select_indices(rows)
    return branch


@dataclass(frozen=True)
class Tree:
    """The prefixes of some replies, all but the empty one: N nodes, parents before their children.

    Attributes:
        tokens: the last token of each prefix: int64 (N,).
        depths: how many tokens each prefix has: int64 (N,).
        branches: for each node which nodes it follows, itself among them: bool (N, N).
        paths: for each reply, the nodes that it passes.
        steps: for each token of each reply, the node that it follows, counted from 1, and 0 for the empty
            prefix; and the token: int64 (T,) each.
    """

    tokens: Tensor
    depths: Tensor
    branches: Tensor
    paths: tuple[tuple[int, ...], ...]
    steps: tuple[Tensor, Tensor]


@lru_cache(maxsize=64)
def tree_of(replies: tuple[tuple[int, ...], ...]) -> Tree:
    """The tree of replies, each with its end of sequence."""
    prefixes = [reply[:length] for reply in replies for length in range(1, len(reply))]
    nodes = {prefix: node for node, prefix in enumerate(dict.fromkeys(prefixes))}
    branches = torch.eye(len(nodes), dtype=torch.bool)
    for prefix, node in nodes.items():
        if len(prefix) > 1:
            branches[node] |= branches[nodes[prefix[:-1]]]
    steps = [(nodes.get(reply[:i], -1) + 1, token) for reply in replies for i, token in enumerate(reply)]
    return Tree(
        tokens=torch.tensor([prefix[-1] for prefix in nodes]),
        depths=torch.tensor([len(prefix) for prefix in nodes]),
        branches=branches,
        paths=tuple(tuple(nodes[reply[:i]] for i in range(1, len(reply))) for reply in replies),
        steps=(torch.tensor([node for node, _ in steps]), torch.tensor([token for _, token in steps])),
    )


@torch.inference_mode()
def likelihoods(
    loaded: Loaded,
    logits: Tensor,
    attention: Tensor,
    cache: Any,
    position: Tensor,
    replies: Mapping[int, tuple[tuple[int, ...], ...]],
) -> dict[int, Tensor]:
    """The logarithm of the likelihood of whole replies behind the questions of a batch.

    Args:
        loaded: the model.
        logits: of the first token: float32 (B, V).
        attention: the questions' attention mask: int64 (B, S).
        cache: after the questions; it stays as it is.
        position: of the token behind each question: int64 (B, 1).
        replies: for some rows, the tokens of each reply, with its end of sequence. Rows may have different
            ones.

    Returns:
        For each of these rows float32 (replies,), on the CPU.

    Raises:
        ModelError: a logit is not finite.
    """
    trees = {row: tree_of(of_row) for row, of_row in replies.items()}
    size = max((len(tree.tokens) for tree in trees.values()), default=1)
    at_once = max(1, LOGITS_AT_ONCE // (size * logits.shape[1]))
    totals: dict[int, Tensor] = {}
    for start in range(0, len(trees), at_once):
        part = list(trees)[start : start + at_once]
        rows = torch.tensor(part, device=logits.device)
        branch = fork(cache, None if part == list(range(len(logits))) else rows)
        of_nodes = _node_logits(loaded, branch, attention[rows], position[rows], [trees[row] for row in part])
        for row, first, others in zip(part, logits[rows], of_nodes, strict=True):
            totals[row] = _totals(torch.cat([first[None], others]), trees[row])
    return totals


def _totals(logits: Tensor, tree: Tree) -> Tensor:
    """For each reply the sum over its tokens; `logits` are float32 (1 + N, V), the empty prefix's first."""
    nodes, tokens = (step.to(logits.device) for step in tree.steps)
    of_tokens = (logits[nodes, tokens] - logits.logsumexp(-1)[nodes]).cpu()
    parts = torch.split(of_tokens, [len(path) + 1 for path in tree.paths])
    return torch.stack([part.sum() for part in parts])


def _node_logits(
    loaded: Loaded, cache: Any, attention: Tensor, position: Tensor, trees: Sequence[Tree]
) -> Tensor:
    """The logits at each node of each row's tree, behind the question: float32 (rows, N, V)."""
    reach = attention.shape[1] + max(int(tree.depths.max()) for tree in trees)
    if reach > min((layer.sliding_window for layer in cache.layers if layer.is_sliding), default=reach):
        return _path_logits(loaded, cache, attention, position, trees)
    size = max(len(tree.tokens) for tree in trees)
    depths = _padded([tree.depths for tree in trees]).to(attention.device)
    branches = torch.eye(size, dtype=torch.bool).repeat(len(trees), 1, 1)
    for row, tree in enumerate(trees):
        branches[row, : len(tree.tokens), : len(tree.tokens)] = tree.branches
    question = attention.bool()[:, None].expand(-1, size, -1)
    seen = torch.cat([question, branches.to(attention.device)], dim=2)[:, None]
    mask = torch.zeros(seen.shape, dtype=cache.layers[0].keys.dtype, device=seen.device)
    outputs = loaded.model(
        input_ids=_padded([tree.tokens for tree in trees]).to(attention.device),
        attention_mask=mask.masked_fill(~seen, torch.finfo(mask.dtype).min),
        position_ids=position + depths - 1,
        cache=cache,
        use_cache=True,
    )
    refuse_non_finite(outputs.logits, loaded.called)
    return outputs.logits.float()  # type: ignore[no-any-return]


def _path_logits(
    loaded: Loaded, cache: Any, attention: Tensor, position: Tensor, trees: Sequence[Tree]
) -> Tensor:
    """As `_node_logits`, one path after another, for questions longer than a layer's sliding window.

    Such a layer has forgotten how the question began, so that the mask of a tree would fit some layers only.
    """
    logits: list[dict[int, Tensor]] = [{} for _ in trees]
    for number in range(max(len(tree.paths) for tree in trees)):
        paths = [tree.paths[number % len(tree.paths)] for tree in trees]
        ids = _padded([tree.tokens[list(path)] for tree, path in zip(trees, paths, strict=True)])
        outputs = loaded.model(
            input_ids=ids.to(attention.device),
            attention_mask=torch.cat([attention, attention.new_ones(ids.shape)], dim=1),
            position_ids=position + torch.arange(ids.shape[1], device=attention.device),
            cache=fork(cache),
            use_cache=True,
        )
        refuse_non_finite(outputs.logits, loaded.called)
        for of_row, path, along in zip(logits, paths, outputs.logits.float(), strict=True):
            of_row |= dict(zip(path, along, strict=False))
    return _padded([torch.stack([of_row[node] for node in range(len(of_row))]) for of_row in logits])


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True)
