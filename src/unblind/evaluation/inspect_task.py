"""The same samples, prompts and rules for any model that Inspect reaches; needs the extra `inspect`.

    inspect eval unblind/circled_letter --model openai/gpt-4o -T data=circles -T limit=100

Inspect calls the provider, retries, keeps to rate limits and writes the logs. Only free answers are measured:
providers give no probabilities of 52 letters.
"""

from __future__ import annotations

import base64
import io

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate
from inspect_ai.util import registry_info

from unblind.data.images import decode_image
from unblind.data.reading import read
from unblind.errors import DatasetError
from unblind.evaluation.run import with_ids
from unblind.models.collate import Row, prepared
from unblind.scoring.rules import check_rule, rule_named
from unblind.tasks.prompts import parse_letter, prompt_text
from unblind.tasks.registry import DEFAULT_TASK, task_named


@task
def circled_letter(
    data: str = "XAI/vlmsareblind",
    split: str | None = None,
    prompt: str | None = None,
    rule: str = "exact",
    limit: int | None = None,
) -> Task:
    """Which letter is circled?

    Args:
        data: a dataset folder, a Parquet file, or the id of a dataset on the Hugging Face Hub.
        split: of the dataset; by default the held-out one.
        prompt: instead of the dataset's own; a name in `PROMPTS` or a text.
        rule: a name in `unblind.scoring.rules.RULES`; by default the letter alone, in its case.
        limit: only the first so many samples.

    Raises:
        DatasetError: no rows, columns missing, an id twice, a broken image.
        RecipeError: an unknown rule.
    """
    check_rule(rule, "-T rule=...")  # before anything is read
    rows = with_ids(prepared(read(data, split)))
    rows = rows if limit is None else rows.select(range(min(int(limit), len(rows))))
    samples = [_sample(row, prompt) for row in rows]
    return Task(
        dataset=MemoryDataset(samples, name=data),
        solver=generate(),
        scorer=named_letter(rule),
        config=GenerateConfig(temperature=0),
    )


if not registry_info(circled_letter).name.startswith("unblind/"):
    # Inspect adds the prefix in an editable install only if package and distribution have one name
    circled_letter = task(name="unblind/circled_letter")(circled_letter)


def _sample(row: Row, prompt: str | None) -> Sample:
    text = row.get("prompt") if prompt is None else prompt
    if not isinstance(text, str):
        raise DatasetError(f"row {row['id']} has no prompt; add a column prompt, or name one (-T prompt=...)")
    picture = io.BytesIO()
    decode_image(row["image"], f"row {row['id']}").save(picture, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    question = ContentText(text=prompt_text(text, str(row.get("word") or "")))
    return Sample(
        id=str(row["id"]),
        input=[ChatMessageUser(content=[ContentImage(image=uri), question])],
        target=str(row["answer"]),
        metadata={name: row[name] for name in ("word", "index", "font") if row.get(name) is not None},
    )


@scorer(metrics=[accuracy(), stderr()])
def named_letter(rule: str = "exact") -> Scorer:
    """Whether a reply is right by a rule of `unblind.scoring.rules`."""
    right = rule_named(rule, task_named(DEFAULT_TASK), "-T rule=...")

    async def score(state: TaskState, target: Target) -> Score:
        reply = state.output.completion
        value = CORRECT if right(reply, target.text) else INCORRECT
        return Score(value=value, answer=parse_letter(reply), explanation=reply)

    return score
