"""The web page to try it on: a picture of a task, and what the blind and the cured model say to it."""

import os

from unblind.errors import DemoError
from unblind.runtime.versions import install_command

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported: it asks no other host then
try:
    import gradio  # noqa: F401
except ImportError as error:
    raise DemoError(f"the demo needs Gradio; run: {install_command('demo')}") from error
