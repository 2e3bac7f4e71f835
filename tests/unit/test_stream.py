"""Samples drawn during training: those that `generate` stores, each drawn once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import small_model
from test_train import _interrupted_at, options, rows, weights  # noqa: F401
