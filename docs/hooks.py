"""MkDocs calls this: the page of commands is made from the commands, so no copy of --help can grow old."""

from __future__ import annotations

from cyclopts.docs.markdown import generate_markdown_docs
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from unblind.cli import COMMANDS, command_line

NEXT = "\n\nNext: [the same from Python](api.md), or [rules and metrics](scoring.md).\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add commands.md: each command's docstring and options."""
    app = command_line()
    for name in COMMANDS:
        app[name].help = None  # the docstring, not the line in the list of commands
    text = generate_markdown_docs(app, generate_toc=False) + NEXT
    files.append(File.generated(config, "commands.md", content=text))
    return files
