"""The web page to try it on: a word with one letter circled, and what the blind and the cured model say."""

import os

from unblind.errors import DemoError

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported: it asks no other host then
try:
    import gradio  # noqa: F401
except ImportError as error:
    raise DemoError("the demo needs Gradio; run: pip install 'unblind[demo]'") from error
