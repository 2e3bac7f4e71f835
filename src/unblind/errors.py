"""What a user can cause and mend. The command line prints the message alone and exits with code 2.

UnblindError
├── WordsError      a word list that is missing, empty or not what it claims
├── FontsError      a font that is missing or cannot draw the letters
├── SceneError      a scene that cannot be laid out
├── DatasetError    a dataset that is missing, corrupt or lacks columns
│   └── NoDatasetError  a folder that holds no data at all
├── ModelError      a model or adapter that cannot be loaded or does not fit
├── RecipeError     a recipe or an option that makes no sense
├── HubError        an upload that the hub refuses or that cannot reach it
├── OutputError     an output folder that holds something else or is in use
└── DemoError       a web page that cannot be served, or something asked of it that it cannot show
"""


class UnblindError(Exception):
    """Base of all errors that a user can mend; the message says what, where, and the next step."""


class WordsError(UnblindError):
    """A word list that is missing, empty or not what it claims to be."""


class FontsError(UnblindError):
    """A font that is missing or cannot draw the letters."""


class SceneError(UnblindError):
    """A scene that cannot be laid out."""


class DatasetError(UnblindError):
    """A dataset that is missing, corrupt or lacks columns."""


class NoDatasetError(DatasetError):
    """A folder that holds no data at all."""


class ModelError(UnblindError):
    """A model or adapter that cannot be loaded or does not fit."""


class RecipeError(UnblindError):
    """A recipe or an option that makes no sense."""


class OutputError(UnblindError):
    """An output folder that holds something else or is in use."""


class HubError(UnblindError):
    """An upload that is not possible: no token, not allowed, no network, nothing to upload."""


class DemoError(UnblindError):
    """A web page that cannot be served, or something asked of it that it cannot show."""
