"""Draws a small task: which of two words is written larger? `python make_sizes.py FOLDER IMAGES`"""

import random
import sys
from pathlib import Path

import datasets
from PIL import Image, ImageDraw, ImageFont

WORDS = ["ant", "bear", "cat", "dove", "eel", "frog"]


def sample(i, rng):
    words = rng.sample(WORDS, 2)
    sizes = rng.sample([18, 40], 2)
    image = Image.new("RGB", (224, 224), "white")
    draw = ImageDraw.Draw(image)
    for row, (word, size) in enumerate(zip(words, sizes, strict=True)):
        draw.text((20 + rng.randrange(40), 40 + 90 * row), word, "black", ImageFont.load_default(size))
    answer = words[sizes.index(max(sizes))]
    return {"id": str(i), "image": image, "prompt": "Which word is larger?", "answer": answer}


out = Path(sys.argv[1])
out.mkdir(parents=True)
text = datasets.Value("string")
features = datasets.Features({"id": text, "image": datasets.Image(), "prompt": text, "answer": text})
for split, n in (("train", int(sys.argv[2])), ("validation", 16), ("test", 32)):
    rng = random.Random(split)
    rows = [sample(i, rng) for i in range(n)]
    datasets.Dataset.from_list(rows, features=features).to_parquet(out / f"{split}.parquet")
