"""The whole cure from Python: draw, measure, fine-tune, measure. `python examples/python_api.py FOLDER`"""

import sys
from pathlib import Path

from unblind import GenerateOptions, TrainOptions, evaluate, generate, load, load_recipe, read, score, train


def main(out: Path, images: int = 8000, questions: int = 500, **changes: object) -> None:
    """Draw words with a circled letter, and cure the model that ships with the package.

    Args:
        out: a new folder, for the images and for the run.
        images: to learn from.
        questions: held-out ones, to measure with.
        changes: options that differ from the recipe's.
    """
    generate(out / "data", GenerateOptions(train=images, validation=256, test=questions))
    test = read(out / "data", "test")
    print("blind:", score(evaluate(load("tiny"), test))["accuracy"]["free"])

    paths = {"data": str(out / "data"), "out": out / "run"}
    train(TrainOptions(**{**load_recipe("tiny"), **paths, **changes}))
    print("after:", score(evaluate(load("tiny", adapter=out / "run"), test))["accuracy"]["free"])


if __name__ == "__main__":  # several processes draw the images, and each of them imports this file
    main(Path(sys.argv[1]))
