"""PaliGemma 2 with the real tokenizer: what is asked and learnt, token by token."""

import string
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import published_checkpoint
from unblind.evaluation.likelihoods import choice_tokens
from unblind.models.choices import choices_as_tokens
from unblind.models.collate import Collator
from unblind.models.loading import Loaded, load
from unblind.models.paligemma_shapes import IMAGE_TOKEN, VOCABULARY
from unblind.tasks.registry import task_named

pytestmark = pytest.mark.slow  # it may wait for npm

QUESTION = "Which letter is being circled?"
ASKED = [2, 13033, 6139, 603, 1855, 140576, 235336, 108]
C = 235260


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = published_checkpoint.save(tmp_path_factory.mktemp("published") / "checkpoint")
    return load(str(folder), device="cpu", dtype="float32")


def row(prompt: str = QUESTION, answer: str = "c") -> dict:
    return {"id": "r", "image": Image.new("RGB", (224, 224), "white"), "prompt": prompt, "answer": answer}


def test_the_vocabulary(loaded: Loaded) -> None:
    tokenizer = loaded.processor.tokenizer
    assert len(tokenizer) == IMAGE_TOKEN + 1
    assert loaded.model.get_input_embeddings().weight.shape[0] == VOCABULARY
    names = ("<pad>", "<eos>", "<bos>", "<unk>", "<loc0000>", "<loc1023>", "<seg000>", "<seg127>", "<image>")
    assert tokenizer.convert_tokens_to_ids(list(names)) == [
        *(0, 1, 2, 3),
        *(256_000, 257_023, 257_024, 257_151, IMAGE_TOKEN),
    ]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, 2)
    assert loaded.processor.image_token_id == IMAGE_TOKEN == 257_152


def test_a_sample_token_by_token(loaded: Loaded) -> None:
    batch = Collator(loaded.family, loaded.processor)([row()])
    assert batch["input_ids"][0].tolist() == [IMAGE_TOKEN] * 256 + ASKED + [C, 1]
    assert batch["labels"][0].tolist() == [-100] * (256 + len(ASKED)) + [C, 1]
    assert batch["shift_labels"].tolist() == [C, 1]


def test_every_letter_is_one_token_with_and_without_a_space(loaded: Loaded) -> None:
    letters = string.ascii_uppercase + string.ascii_lowercase
    for before in ("", " "):
        ids = loaded.processor.tokenizer([before + letter for letter in letters], add_special_tokens=False)
        assert all(len(one) == 1 for one in ids["input_ids"])
        assert len({one[0] for one in ids["input_ids"]}) == 52
    choices = choices_as_tokens(loaded.family, loaded.processor, letters)
    assert choices.shared == () and choices.tokens[letters.index("c")] == C
    assert choice_tokens(loaded, tuple(letters)) == tuple((token,) for token in choices.tokens)


PROMPTS = [
    (prompt.text.replace("{word}", "circle"), prompt.reply("c"))
    for prompt in task_named("circled-letter").prompts.values()
]


@pytest.mark.parametrize(
    ("prompt", "reply"), [*PROMPTS, (f"answer en {QUESTION}", "c"), ("Count  the\ncircles.", "{12}")]
)
def test_text_and_labels_are_the_references(loaded: Loaded, prompt: str, reply: str) -> None:
    processor, sample = loaded.processor, row(prompt)
    theirs = processor(images=[sample["image"]], text=[f"<image>{prompt}"], suffix=[reply])
    ours = loaded.family.encode(processor, [sample["image"]], [prompt], [reply])
    for name in ("input_ids", "attention_mask", "token_type_ids", "labels", "pixel_values"):
        assert torch.equal(ours[name], torch.tensor(np.array(theirs[name]))), name


def test_the_published_names_are_all_read(loaded: Loaded) -> None:
    shards = sorted(Path(loaded.name).glob("*.safetensors"))
    stored = {name: value for shard in shards for name, value in load_file(shard).items()}
    read = dict(loaded.model.named_parameters())
    assert len(shards) == 2 and len(read) == len(stored) == 727
    for name, value in read.items():
        assert torch.equal(value, stored[published_checkpoint.published(name)].float()), name
