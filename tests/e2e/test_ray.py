"""The engine `ray` on a cluster of two nodes: the same bytes, though one dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import two_nodes
from unblind import generation

pytest.importorskip("ray", reason="Ray is not installed; pip install unblind[ray]")
