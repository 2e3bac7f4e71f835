"""`python -m unblind` with FSDP on a CPU. accelerate offers it on GPUs alone, so a CPU passes for one."""

import os

from accelerate.state import PartialState
from accelerate.utils import DistributedType

from unblind.cli import main

os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)

if __name__ == "__main__":
    main()
