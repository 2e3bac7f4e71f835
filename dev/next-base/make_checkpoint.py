"""Turn base.pt into the embedded checkpoint. It needs code.patch.

python dev/next-base/make_checkpoint.py
"""

from pathlib import Path

import torch

from unblind.models.published_files import publish
from unblind.tiny.build import new_model, new_processor
from unblind.tiny.pretrain import FAMILY

saved = torch.load(Path(__file__).with_name("base.pt"), map_location="cpu", weights_only=True)
out = Path("src/unblind/tiny/checkpoint")
model = new_model()
model.load_state_dict(saved["model"])
torch.nn.Module.to(model, torch.bfloat16)
model.save_pretrained(out)
new_processor().save_pretrained(out)
publish(out, FAMILY)
(out / "model.safetensors").chmod(0o644)
