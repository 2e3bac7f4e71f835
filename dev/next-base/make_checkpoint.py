"""Turn base.pt into the embedded checkpoint. It needs code.patch.

python dev/next-base/make_checkpoint.py
"""

from pathlib import Path

import torch

from unblind.models.embedded import TINY
from unblind.tiny.build import new_model
from unblind.tiny.pretrain import save_base

saved = torch.load(Path(__file__).with_name("base.pt"), map_location="cpu", weights_only=True)
model = new_model()
model.load_state_dict(saved["model"])
save_base(model, TINY)
