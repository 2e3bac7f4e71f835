import torch
from pathlib import Path
from unblind.tiny.build import new_model,new_processor
from unblind.models.published_files import publish
from unblind.tiny.pretrain import FAMILY
d=torch.load("dev/next-base/base.pt",map_location="cpu",weights_only=True)
m=new_model(0); m.load_state_dict({k:v.float() for k,v in d["model"].items()}); m.to(torch.bfloat16)
out=Path("src/unblind/tiny/checkpoint"); m.save_pretrained(out); new_processor().save_pretrained(out); publish(out,FAMILY)
