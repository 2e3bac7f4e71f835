"""Make a dataset on a Ray cluster of two nodes, of which one dies half-way: `python two_nodes.py OUT`."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

from unblind import GenerateOptions
from unblind.data import generation
from unblind.tasks.circled_letter.scene import SceneOptions

SHARD_ROWS = 100
OPTIONS = GenerateOptions(
    train=1_600, validation=0, test=100, words="random", scene=SceneOptions(image_size=128)
)
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
LEAN = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}


def main(out: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    # a check is 3 s: a busy node is not taken for a dead one, and a dead one is found in half a minute
    patient = {"health_check_failure_threshold": 12}
    head = {**NODE, **LEAN, "_system_config": patient}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    doomed = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    print("nodes", alive(ray), flush=True)
    killer = threading.Thread(target=kill_half_way, args=(cluster, doomed, out))
    killer.start()
    generation.SHARD_ROWS = SHARD_ROWS
    generation.generate(out, OPTIONS, engine="ray")
    killer.join()
    print("nodes", alive(ray), flush=True)
    ray.shutdown()
    cluster.shutdown()


def alive(ray: Any) -> int:
    return sum(node["Alive"] for node in ray.nodes())


def kill_half_way(cluster: Any, node: Any, out: Path) -> None:
    while (made := len(list(out.glob("data/*.parquet")))) < 4:
        time.sleep(0.02)
    cluster.remove_node(node, allow_graceful=False)
    print("killed after", made, "shards", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
