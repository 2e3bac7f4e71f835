"""unblind demo."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unblind.data.dataset_options import DEFAULT_PROMPT
from unblind.flags import Machine
from unblind.tasks.registry import DEFAULT_TASK


def demo(
    *,
    adapter: Path | None = None,
    model: str = "tiny",
    task: str = DEFAULT_TASK,
    fonts: tuple[str, ...] = ("bundled",),
    prompt: str = DEFAULT_PROMPT,
    host: str = "127.0.0.1",
    port: int = 7860,
    root_path: str = "",
    password: Annotated[str | None, Parameter(env_var="UNBLIND_PASSWORD")] = None,
    share: Annotated[bool, Parameter(negative=())] = False,
    device: Machine[str] = "auto",
    dtype: Machine[str] = "auto",
    revision: Machine[str | None] = None,
) -> None:
    """Open a web page: make a picture, and compare the answers of the blind and the fine-tuned model.

    Example: `unblind demo --adapter unblind-quickstart/train`

    Args:
        adapter: an adapter's folder, or a run folder of `unblind train`. Without it, the blind model answers
            alone.
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        task: the task to draw and ask.
        fonts: for tasks that draw words: `bundled`, `system`, folders, or font files.
        prompt: the question: the name of one of the task's, or any text. The default is the first.
        host: the address to listen on. Only this machine reaches the default.
        port: the port; 0 takes any free one.
        root_path: where a proxy shows the page: a path such as /demo, or the whole address.
        password: visitors must enter it, with any user name. In the environment, other users cannot see it.
        share: also show the page under a public address, through Gradio's tunnel. It needs a password.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: the model's revision on the hub.
    """
    from unblind.demo import serve as server
    from unblind.demo.ask import Models
    from unblind.demo.generic import controls_of
    from unblind.models.loading import load
    from unblind.tasks.registry import task_named

    root_path = server.check_root_path(root_path)
    shown = task_named(task)
    with closing(server.listen(host, port)) as listening:  # first: it fails at once; loading takes a while
        public = server.share(listening, password) if share else None
        models = Models(load(model, adapter=adapter, device=device, dtype=dtype, revision=revision), shown)
        question = shown.default_prompt if prompt == DEFAULT_PROMPT else prompt
        controls = controls_of(shown, question, models.image_size, fonts)
        server.serve(listening, models, controls, root_path, password=password, public=public)
