"""Make a dataset on a Ray cluster of two nodes, of which one dies half-way.

python tests/two_nodes.py OUT
"""

import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from unblind import generation
from unblind.scene import SceneOptions

generation.SHARD_ROWS = 100
OPTIONS = generation.GenerateOptions(
    train=1_600, validation=0, test=100, words="random", scene=SceneOptions(image_size=128)
)
MEMORY = 80 * 2**20  # bytes of each node's object store


def kill_half_way(cluster: Cluster, node: object, out: Path) -> None:
    while len(list(out.glob("data/train-*.parquet"))) < 4:
        time.sleep(0.02)
    cluster.remove_node(node, allow_graceful=False)
    print("killed", len(list(out.glob("data/*.parquet"))), flush=True)


def main(out: Path) -> None:
    cluster = Cluster(
        head_node_args={"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    )
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    ray.init(address=cluster.address, log_to_driver=False)
    print("nodes", sum(there["Alive"] for there in ray.nodes()), flush=True)
    killer = threading.Thread(target=kill_half_way, args=(cluster, node, out))
    killer.start()
    generation.generate(out, OPTIONS, engine="ray")
    killer.join()
    print("nodes", sum(there["Alive"] for there in ray.nodes()), flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
