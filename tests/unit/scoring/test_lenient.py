"""What the rule `lenient` reads in replies as chatty models write them; some are in docs/scoring.md."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblind.scoring.lenient import lenient, spoken
from unblind.scoring.rules import rule_named
from unblind.tasks.base import AnswerSpace
from unblind.tasks.registry import TASKS, task_named

LETTERS = [
    ("k", "k"),
    ("**k**", "k"),
    ("The letter being circled is **k**.", "k"),
    ("The letter being circled is {k}.", "k"),
    ('The circled letter is "k".', "k"),
    ("The circled letter is ‘k’.", "k"),
    ("The letter that is circled in the image is k.", "k"),
    ("The letter 'e' is circled, between 'h' and 'l'.", "e"),
    ('In the word "Acknowledgement", the letter "k" is being circled.', "k"),
    ("The red oval is around the letter “l”, the third one.", "l"),
    ("The character being highlighted with a red oval is \"o\".", "o"),
    ("$\\boxed{k}$", "k"),
    ("The answer is \\(\\boxed{\\text{k}}\\).", "k"),
    ("\\boxed{\\{k\\}}", "k"),
    ("$$\\mathbf{k}$$", "k"),
    ('{"answer": "k"}', "k"),
    ('```json\n{"reasoning": "The oval is next to l.", "answer": "k"}\n```', "k"),
    ('{"letter": "k", "confidence": 0.9}', "k"),
    ("<think>It could be t. Or l? The oval is over k.</think>\nk", "k"),
    ("It could be t, or maybe {l}.</think>\n\n{k}", "k"),
    ("<think>The oval is over k, so the answer is {k}. But wait", None),
    ("◁think▷Is it t?◁/think▷The circled letter is **k**.", "k"),
    ("<|channel|>analysis<|message|>Maybe t.<|end|><|start|>assistant<|channel|>final<|message|>k", "k"),
    ("<answer>k</answer>", "k"),
    ("<think>t?</think><answer> K </answer>", "k"),
    ("<|begin_of_box|>k<|end_of_box|>", "k"),
    ("**Final Answer:** k", "k"),
    ("## Answer\n\nAnswer: `k`", "k"),
    ("The letter is t. Wait, looking again, the letter is k.", "k"),
    ("It is t. No, the circled letter is not t, it is k.", "k"),
    ("It's the letter \"K\".", "k"),
    ("It is {t}, not {k}.", "t"),
    ("The circled letter is **t**, not **f**.", "t"),
    ("The word is \"subdermatoglyphic\" and a red circle is drawn around the letter **g**.", "g"),
    ("The circled letter is the second \"l\" in \"Hello\".", "l"),
    ("The letter is k or t.", None),
    ("I cannot see a circled letter in this image.", None),
    ("The letter being circled is in the middle of the word.", None),
    ("A", "a"),
    ("The answer is a.", "a"),
    ("Looking at the picture, I see a word. The circled letter is I.", "i"),
    ("Step 1: find the circle.\nStep 2: read the letter.\n\nThe letter is: **w**", "w"),
    ("", None),
    ('The letter being circled in the image is the letter "o" in the word "Acknowledgement".', 'o'),
    ('The letter circled in red is "t".', 't'),
    ("The red circle is drawn around the letter 'e'.", 'e'),
    ('Looking at the image, the word is "Subdermatoglyphic". The oval is around the letter "y".', 'y'),
    ('{a}', 'a'),
    ('The circled letter is {I}.', 'i'),
    ('Based on the image, the highlighted character is "R".\n\n{R}', 'r'),
    ('The letter is **"o"**.', 'o'),
    ("It appears that the letter 'w' is being circled.", 'w'),
    ('The letter "g" in "Acknowledgement" is circled.', 'g'),
    ('I can see the word tHyUiKaRbNqWeOpXcZvM. The circled one is N.', 'n'),
    ('The circled letter is an "a".', 'a'),
    ('The circled letter appears to be **c**.', 'c'),
    ('*k*', 'k'),
    ('The character being highlighted with a red oval is the lowercase letter "d".', 'd'),
    ('Answer: {g}\nExplanation: The oval covers g, not y.', 'g'),
    ('The letter is “d”, which is the third letter from the right.', 'd'),
    ('"e"', 'e'),
    ("The letter being circled is the first 'c' in the word.", 'c'),
    ('Letter: m', 'm'),
    ('I think it is m.', 'm'),
    ('The letter that is circled is "r", located between "e" and "m".', 'r'),
    ('The answer is {\\text{k}}.', 'k'),
    ('Circled letter: **p** (between o and h)', 'p'),
    ('**Answer: {t}**', 't'),
    ("The letter 'a' is circled in red.", 'a'),
]  # fmt: skip
COUNTS = [
    ("2", "2"),
    ("{2}", "2"),
    ("The lines intersect {2} times.", "2"),
    ("The two lines intersect at **one** point.", "1"),
    ("The blue and red lines cross each other twice.", "2"),
    ("The two lines do not intersect.", "0"),
    ("There are no intersections between the blue and the red line.", "0"),
    ("The number of times the two lines intersect is 1.", "1"),
    ("There are 5 circles: 3 in the top row and 2 in the bottom row.", "5"),
    ("The top row has 3 circles and the bottom row has 2, so there are 5 in total.", "5"),
    ("I count 3 + 2 = 5 circles.", "5"),
    ("Let me count:\n1. blue\n2. black\n3. red\n4. yellow\n\nThere are **four** squares.", "4"),
    ("There are five (5) circles in the image.", "5"),
    ("Total number of squares: 4", "4"),
    ("\\boxed{9}", "9"),
    ("$$\\boxed{9 \\text{ circles}}$$", "9"),
    ('{"count": 3}', "3"),
    ('{"answer": 3, "explanation": "2 lines meet 3 times"}', "3"),
    ("<think>2? or 3?</think>There are 3 single-colored paths from A to C.", "3"),
    ("There is 1 route from A to B. There are no other routes.", "1"),
    ("Answer: 2\n\nThe image is 512 pixels wide.", "2"),
    ("**Answer: 2.0**", "2"),
    ("Seven.", "7"),
    ("５", "5"),
    ("2 or 3", None),
    ("I am unable to count them.", None),
    ("The blue and red lines intersect at 2 points.", "2"),
    ("There are two intersection points between the blue and red lines, so the answer is {2}.", "2"),
    ("The lines touch each other {1} time.", "1"),
    (
        "1. A crossing near the left.\n2. One near the right.\n\nThe lines intersect 2 times.",
        "2",
    ),
    ("0", "0"),
    ("The red and blue lines never cross.", "0"),
    ("The two lines cross exactly once.", "1"),
    ("They intersect zero times.", "0"),
    ("The blue line and the red line intersect at a single point.", None),
    ("Answer: {0}", "0"),
    ("The two lines meet 1 time (near the center).", "1"),
    ("The number of intersections is two.", "2"),
    ("I count **3** intersection points.", "3"),
]
YES_NO = [
    ("Yes", "Yes"),
    ("Yes, the two circles are touching.", "Yes"),
    ("No. There is a clear gap between them.", "No"),
    ("**Yes**", "Yes"),
    ("Yes, there is no gap between the circles.", "Yes"),
    ("There is no gap between the circles, so yes.", "Yes"),
    ("Looking at the image, the answer is no.", "No"),
    ("Final answer: **No**", "No"),
    ("\\boxed{\\text{Yes}}", "Yes"),
    ('{"answer": true}', "Yes"),
    ('```json\n{"answer": "No"}\n```', "No"),
    ("<think>Yes? They look near. No.</think>\n\nYes.", "Yes"),
    ("Yes... wait, on a closer look: no, they do not overlap.", "No"),
    ("I do not know.", None),
    ("Yes or no", None),
    ("The two circles are touching each other. Yes.", "Yes"),
    ("No, the circles are not overlapping.", "No"),
    ("Answer: Yes", "Yes"),
    ("**No.**", "No"),
    ("Yes they are.", "Yes"),
    ("{Yes}", "Yes"),
    ("After careful examination, no, the circles do not touch.", "No"),
    ("The circles are overlapping, so the answer is yes.", "Yes"),
]
PAIRS = [
    ("(5, 6)", "5,6"),
    ("5,6", "5,6"),
    ("rows={5} columns={6}", "5,6"),
    ("The table has 5 rows and 6 columns.", "5,6"),
    ("There are 6 columns and 5 rows.", "5,6"),
    ("**Rows:** 5\n**Columns:** 6", "5,6"),
    ("Rows: {5}, columns: {6}", "5,6"),
    ("five rows and six columns", "5,6"),
    ("It is a 5×6 grid.", "5,6"),
    ("It is a 5 by 6 grid.", "5,6"),
    ("$\\boxed{(5,6)}$", "5,6"),
    ("$5 \\times 6$", "5,6"),
    ('{"rows": 5, "columns": 6}', "5,6"),
    ("<think>4 rows? (4,6)</think>The answer is (5,6).", "5,6"),
    ("The grid has 4 rows and 6 columns. Counting again: (5, 6)", "5,6"),
    ("There are 5 rows.", None),
    ('The grid has 4 rows and 5 columns, so the answer is (4,5).', '4,5'),
    ('(4,5)', '4,5'),
    ('Rows: 4, Columns: 5', '4,5'),
    ('rows=4 columns=5', '4,5'),
    ('rows = {4}, columns = {5}', '4,5'),
    ('There are 4 horizontal rows and 5 vertical columns.', '4,5'),
    ('The table has 4 rows (horizontal) and 5 columns (vertical).', '4,5'),
    ('4 x 5', '4,5'),
    ('(row, column) = (4, 5)', '4,5'),
    ('The answer is \\((4, 5)\\).', '4,5'),
    ('Number of rows: 4\nNumber of columns: 5', '4,5'),
    ('| Rows | Columns |\n|---|---|\n| 4 | 5 |', None),
    ('```json\n{"rows": 4, "columns": 5}\n```', '4,5'),
]  # fmt: skip
REPLIES = {
    "circled-letter": LETTERS,
    "line-intersections": COUNTS,
    "two-circles": YES_NO,
    "grid": PAIRS,
    "olympic-circles": [
        ("There are 7 circles in the image.", "7"),
        ("{8}", "8"),
        ("The image contains a total of 9 overlapping circles.", "9"),
        ("5 circles in the top row + 4 in the bottom row = 9 circles.", "9"),
        ("Top row: 4 circles. Bottom row: 3 circles. Total: 7.", "7"),
        ("The image shows **six** interlocking circles.", "6"),
        ("Let's count:\n- Top: 3\n- Bottom: 2\n\n**Total = 5**", "5"),
        ("There are 5 circles, like the Olympic logo.", "5"),
    ],
    "nested-squares": [
        ("There are four nested squares.", "4"),
        ("The total number of squares in the image is **3**.", "3"),
        ("I see 5 squares: one inside another.", "5"),
    ],
    "subway": [
        ("There are 2 single-colored paths from A to C.", "2"),
        ("Paths from A to B:\n1. Red\n2. Blue\n\n{2}", "2"),
        ("There is only one single-color path going from A to D.", "1"),
        ("There are no single-colored paths between B and C.", "0"),
        ("1. Green path\n2. Orange path\n3. Blue path\n\nSo there are three paths.", "3"),
    ],
}
CASES = [(task, reply, answer) for task, replies in REPLIES.items() for reply, answer in replies]


@pytest.mark.parametrize(("name", "reply", "answer"), CASES)
def test_one_answer_is_read_and_no_other(name: str, reply: str, answer: str | None) -> None:
    task = task_named(name)
    right = rule_named("lenient", task)
    found = {choice.lower() for choice in task.answers.choices or () if right(reply, choice)}
    assert found == ({answer.lower()} if answer else set())


def test_every_task_reads_its_own_answers_in_the_format_of_each_prompt() -> None:
    for name in TASKS:
        task = task_named(name)
        right = rule_named("lenient", task)
        for prompt in task.prompts.values():
            if prompt.truth == "word":
                continue
            for choice in task.answers.choices or ():
                assert right(prompt.reply(choice), choice), (name, choice)
                assert right(f"The answer is {prompt.reply(choice)}.", choice), (name, choice)


ANIMALS = AnswerSpace(("cat", "dog", "guinea pig"), str.strip)
ANYTHING = AnswerSpace(None, str.strip)


@pytest.mark.parametrize(
    ("answers", "reply", "answer", "right"),
    [
        (ANIMALS, "The picture shows a **Cat**.", "cat", True),
        (ANIMALS, "Not a cat: this is a guinea pig.", "guinea pig", True),
        (ANIMALS, "a cat or a dog", "cat", False),
        (ANIMALS, "cat or dog", "dog", False),
        (ANYTHING, "**Paris**", "paris", True),
        (ANYTHING, "The answer is Paris.", "Paris", True),
        (ANYTHING, "Answer: the Eiffel tower", "Eiffel Tower", True),
        (ANYTHING, "It is in Paris, I think.", "Paris", False),
        (ANYTHING, "There are three dogs.", "3", True),
        (ANYTHING, "Yes, it is.", "yes", True),
        (ANYTHING, "", "Paris", False),
    ],
)
def test_other_answers(answers: AnswerSpace, reply: str, answer: str, right: bool) -> None:
    assert lenient(answers, reply, answer) == right


def test_the_documented_table_is_what_the_rule_reads() -> None:
    page = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text("utf-8")
    shown = page.partition("## Chatty replies")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `` ?(.+?) ?`` \| (?:`(.+?)`|–) \| ([\w-]+) \|$", shown, re.MULTILINE)
    assert len(rows) >= 20
    for text, answer, name in rows:
        reply = text.replace("↵", "\n")
        assert (reply, answer or None) in [(one, read) for one, read in REPLIES[name]], text


def test_thoughts_are_left_out() -> None:
    assert spoken("a<think>b</think>c") == "ac"
    assert spoken("b</think>c") == "c"
    assert spoken("a<think>b") == "a"
    assert spoken("a < b > c") == "a < b > c"


@given(st.text(max_size=300), st.sampled_from(sorted(REPLIES)))
def test_any_text_is_read_without_an_error(reply: str, name: str) -> None:
    task = task_named(name)
    assert lenient(task.answers, reply, (task.answers.choices or ("",))[0]) in (True, False)


@pytest.mark.parametrize(
    "piece", ["{", "<think>", "\\boxed{", "letter is ", "5 rows ", "**", "there are ", "a "]
)
def test_a_long_reply_takes_no_long_time(piece: str) -> None:
    began = time.process_time()
    for name in REPLIES:
        task = task_named(name)
        lenient(task.answers, piece * (100_000 // len(piece)), (task.answers.choices or ("",))[0])
    assert time.process_time() - began < 5
