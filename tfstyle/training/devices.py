"""Sharing a training's batches among devices and machines, by tf.distribute."""

import json
import os


def _cluster_and_task():
    """Return the cluster and the own task that the environment describes."""
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    return config.get("cluster", {}), config.get("task", {})


def writes_files():
    """Return whether this process is the one of its cluster that writes files."""
    cluster, task = _cluster_and_task()
    first = ("chief" if cluster.get("chief") else "worker", 0)
    return (task.get("type", first[0]), int(task.get("index", 0))) == first


def strategy_for(devices, batch_size):
    """Return what shares batches among devices, or None for one.

    Args:
        devices: Number of GPUs, or of logical CPUs where there are none; None: one. Where the
            environment variable TF_CONFIG describes a cluster, all its workers are taken instead.
        batch_size: Pictures in a batch.

    Raises:
        ValueError: If there are not as many devices, or a batch cannot be shared evenly.
    """
    cluster, _ = _cluster_and_task()
    if sum(len(cluster.get(kind, ())) for kind in ("chief", "worker")) > 1:
        import tensorflow as tf

        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif devices in (None, 1):
        return None
    else:
        strategy = _mirrored(devices)
    if batch_size % strategy.num_replicas_in_sync:
        raise ValueError(
            f"`batch_size` must be a multiple of the {strategy.num_replicas_in_sync} devices. "
            f"Received: batch_size={batch_size}."
        )
    return strategy


def _mirrored(devices):
    """Return what shares batches among the first devices of this machine."""
    import tensorflow as tf

    names = [
        device.name.removeprefix("/physical_device:")
        for device in tf.config.list_physical_devices("GPU")
    ]
    names = names or [device.name for device in tf.config.list_logical_devices("CPU")]
    if not 1 <= devices <= len(names):
        raise ValueError(
            f"`devices` must be 1 to {len(names)}, of which this machine has {names}. "
            f"Received: devices={devices}."
        )
    return tf.distribute.MirroredStrategy(names[:devices])
