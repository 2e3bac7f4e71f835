"""Make a dataset on a Ray cluster of two nodes, of which one dies half-way: `python two_nodes.py OUT`."""

import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from unblind import generation
from unblind.scene import SceneOptions

SHARD_ROWS = 100
OPTIONS = generation.GenerateOptions(
    train=1_600, validation=0, test=100, words="random", scene=SceneOptions(image_size=128)
)
AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)
LEAN = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}


def main(out: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    patient = {"health_check_failure_threshold": 60}  # a busy machine is not taken for a dead one
    cluster = Cluster(head_node_args={**node(), **LEAN, "_system_config": patient})
    doomed = cluster.add_node(**node())
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


def node() -> dict[str, int]:
    """A small node. With ports given, it does not die of agents that are slow to start on a busy machine."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in AGENTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    return {"num_cpus": 1, "object_store_memory": 80 * 2**20, **dict(zip(AGENTS, ports, strict=True))}


def alive(ray: Any) -> int:
    return sum(there["Alive"] for there in ray.nodes())


def kill_half_way(cluster: Any, doomed: Any, out: Path) -> None:
    while (made := len(list(out.glob("data/*.parquet")))) < 4:
        time.sleep(0.02)
    cluster.remove_node(doomed, allow_graceful=False)
    print("killed after", made, "shards", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
