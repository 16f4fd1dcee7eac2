"""TF Serving's configuration and deployment files, written for the models that there are.

Models are mounted at /models, the files written here at /config; `templates/` holds their texts.
"""

import json
import os
import re
import string
from pathlib import Path

from tfstyle.serving.catalog import find_versions, finder
from tfstyle.serving.status import METRICS_PATH

IMAGE, TAG = "tensorflow/serving", "2.19.1"
TEMPLATES = Path(__file__).parent / "templates"
FILES = tuple(
    "batching_parameters.txt ssl.config.txt Dockerfile compose.yaml kubernetes.yaml "
    "kubernetes-gpu.patch.yaml".split()
)
_FLAGS = (
    "--model_config_file=/config/models.config",
    "--model_config_file_poll_wait_seconds=60",
    # Labels are known before the versions they name are loaded.
    "--allow_version_labels_for_unavailable_models=true",
    "--monitoring_config_file=/config/monitoring.config",
    "--enable_grpc_healthcheck_service=true",
)


class _Template(string.Template):
    delimiter = "%"  # $ belongs to shells and to compose


def deployment_files(models, config, *, folder=None):
    """Write the files that serve these models with TF Serving, as text.

    Versions that come later are served without writing the files anew: two of each model, or as
    many as `config.keep_versions`, unless the models.config given has a policy of its own.

    Args:
        models: Folder with `NAME/VERSION/`, or path of a models.config.
        config: `ServeConfig`; ports, batching and timeouts are taken over.
        folder: Folder that the files will lie in, from which compose.yaml finds the models.
            Default: compose.yaml names the models by their full path.

    Returns:
        Dict of texts by file name: models.config, monitoring.config, kserve.yaml and `FILES`.

    Raises:
        FileNotFoundError: If `models` does not exist.
        ValueError: If there are no models, models.config cannot be used, its models do not lie in
            one folder under their names, a port is 0 or None, or two names become one on KServe.
    """
    keep = max(2, config.keep_versions) if config.keep_versions else 0
    configs = finder(models, keep)()
    roots = {c.base_path.resolve().parent for c in configs.values()}
    if len(roots) > 1 or any(name != c.base_path.name for name, c in configs.items()):
        raise ValueError("The models must lie in one folder, each in a folder of its name.")
    if not config.port or not config.rest_port:
        raise ValueError(
            "`port` and `rest_port` must be fixed, as probes and metrics need them. "
            f"Received: port={config.port}, rest_port={config.rest_port}."
        )
    for name, model in configs.items():
        if not find_versions(model.base_path):
            raise ValueError(f"Model {name} must have a version. Received: '{model.base_path}'.")
    values = _values(configs, config, roots.pop(), folder)
    models_config = "".join(_fill("models.config", _of_model(*item)) for item in configs.items())
    texts = {
        "models.config": f"model_config_list {{\n{models_config}}}\n",
        "monitoring.config": _fill("monitoring.config", values),
    }
    values["models_config"] = _indent(texts["models.config"])
    values["monitoring_config"] = _indent(texts["monitoring.config"])
    texts |= {name: _fill(name, values) for name in FILES}
    names = {name: _dns_name(name) for name in configs}
    if len({*names.values()}) < len(names):
        raise ValueError(f"Models must differ in letters and digits. Received: {list(names)}.")
    texts["kserve.yaml"] = "---\n".join(
        _fill("kserve.yaml", values | {"name": name, "dns_name": dns_name})
        for name, dns_name in names.items()
    )
    return texts


def probe(configs, config):
    """Return shell that succeeds if every model is AVAILABLE; TF Serving's 200 does not tell.

    Args:
        configs: Names of the models; a dict by name will do.
        config: `ServeConfig`.
    """
    names = " ".join(configs)
    return (
        f"for m in {names}; do exec 3<>/dev/tcp/127.0.0.1/{config.rest_port} && "
        "printf 'GET /v1/models/%s HTTP/1.0\\r\\n\\r\\n' \"$m\" >&3 && "
        "grep -q '\"AVAILABLE\"' <&3 || exit 1; done"
    )


def _fill(name, values):
    return _Template((TEMPLATES / name).read_text("utf-8")).substitute(values)


def _values(configs, config, root, folder):
    """Return what the templates leave open, by name."""
    place = root if folder is None else os.path.relpath(root, Path(folder).resolve())
    place = str(place) if str(place).startswith(("/", "..")) else f"./{place}"
    size = config.max_batch_size
    sizes = sorted({2**i for i in range(size.bit_length()) if 2**i < size} | {size})
    timeout_ms = round(config.request_timeout_s * 1000)
    ports = (f"--port={config.port}", f"--rest_api_port={config.rest_port}")
    flags = (*ports, f"--rest_api_timeout_in_ms={timeout_ms}", *_FLAGS)
    check = probe(configs, config)
    return vars(config) | {
        "image": IMAGE,
        "tag": TAG,
        "flags_json": ", ".join(map(json.dumps, flags)),
        "metrics_path": METRICS_PATH,
        "place": _yaml(place.replace("$", "$$")),
        "probe": _yaml(check),
        "compose_probe": _yaml(check.replace("$", "$$")),  # compose puts in variables
        "drain_s": round(config.drain_s),
        "grace_s": round(config.drain_s) + 15,
        "timeout_s": max(1, timeout_ms // 1000),
        "batch_sizes": "\n".join(f"allowed_batch_sizes: {size}" for size in sizes),
        "batch_timeout_us": round(config.batch_timeout_ms * 1000),
    }


def _of_model(name, config):
    """Return what the entry of a model leaves open."""
    if config.specific:
        policy = f"specific {{ {' '.join(f'versions: {v}' for v in config.specific)} }}"
    else:
        policy = f"latest {{ num_versions: {config.latest} }}" if config.latest else "all {}"
    labels = "".join(
        f'\n    version_labels {{ key: "{label}" value: {version} }}'
        for label, version in (config.labels or {}).items()
    )
    return {"name": name, "policy": policy, "labels": labels}


def _yaml(text):
    """Quote text for YAML."""
    return "'" + text.replace("'", "''") + "'"


def _dns_name(name):
    """Name that Kubernetes takes: lower case, digits and hyphens, a letter first."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (cleaned if cleaned[:1].isalpha() else f"style-{cleaned}")[:63].rstrip("-")


def _indent(text):
    return "\n".join(4 * " " + line for line in text.rstrip().splitlines())
