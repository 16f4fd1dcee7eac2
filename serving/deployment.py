"""TF Serving's configuration and deployment files, written for the models that there are.

Models are mounted at /models, the files written here at /config. The newest version of a model is
labelled "canary" and the one before it "stable"; where there is one alone it is both.
"""

import os
from pathlib import Path

from tfstyle.serving.catalog import find_models, find_versions, read_models_config
from tfstyle.serving.manifests import compose, dockerfile, kserve, kubernetes
from tfstyle.serving.status import METRICS_PATH


def deployment_files(models, config, *, folder=None):
    """Write the files that serve these models with TF Serving, as text.

    Args:
        models: Folder with `NAME/VERSION/`, or path of a models.config.
        config: `ServeConfig`; ports, batching and timeouts are taken over.
        folder: Folder that the files will lie in, from which compose.yaml finds the models.
            Default: compose.yaml names the models by their full path.

    Returns:
        Dict of texts by file name: models.config, batching_parameters.txt, monitoring.config,
        ssl.config.txt, Dockerfile, compose.yaml, kubernetes.yaml, kserve.yaml.

    Raises:
        FileNotFoundError: If `models` does not exist.
        ValueError: If there are no models, models.config cannot be used, its models do not lie in
            one folder under their names, or a port is 0 or None.
    """
    models = Path(models)
    configs = read_models_config(models) if models.is_file() else find_models(models)
    if not configs:
        raise ValueError(
            f"`models` must hold folders NAME/VERSION with a SavedModel. Received: '{models}'."
        )
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
    root = roots.pop()
    place = str(root) if folder is None else _relative(root, folder)
    models_config = _models_config(configs)
    monitoring = f'prometheus_config {{\n  enable: true\n  path: "{METRICS_PATH}"\n}}\n'
    return {
        "models.config": models_config,
        "batching_parameters.txt": _batching(config),
        "monitoring.config": monitoring,
        "ssl.config.txt": _SSL,
        "Dockerfile": dockerfile(config),
        "compose.yaml": compose(configs, config, place),
        "kubernetes.yaml": kubernetes(configs, config, models_config, monitoring),
        "kserve.yaml": kserve(configs, config),
    }


def _relative(root, folder):
    path = os.path.relpath(root, Path(folder).resolve())
    return path if path.startswith("..") else f"./{path}"


def _models_config(configs):
    """Write models.config, with the two newest versions of each model unless it said otherwise."""
    entries = []
    for name, config in configs.items():
        newest = sorted(config.specific or find_versions(config.base_path))[-2:]
        versions = sorted(config.specific or {*newest, *config.labels.values()})
        labels = config.labels or {"stable": newest[0], "canary": newest[-1]}
        lines = [
            "  config {",
            f'    name: "{name}"',
            f'    base_path: "/models/{name}"',
            '    model_platform: "tensorflow"',
            "    model_version_policy {",
            "      specific {",
            *(f"        versions: {version}" for version in versions),
            "      }",
            "    }",
            *(
                f'    version_labels {{\n      key: "{label}"\n      value: {version}\n    }}'
                for label, version in labels.items()
            ),
            "  }",
        ]
        entries.append("\n".join(lines))
    return "model_config_list {\n" + "\n".join(entries) + "\n}\n"


def _batching(config):
    size = config.max_batch_size
    sizes = sorted({2**i for i in range(size.bit_length()) if 2**i < size} | {size})
    return "\n".join(
        [
            "# Only with --enable_batching --batching_parameters_file=/config/"
            "batching_parameters.txt.",
            "# Off as delivered: TF Serving fails a batch of pictures of different sizes, and one",
            "# broken file fails all that share its batch. Turn it on where every picture has one",
            "# size. `tfstyle serve` sorts by size, and batches always.",
            f"max_batch_size {{ value: {size} }}",
            f"batch_timeout_micros {{ value: {round(config.batch_timeout_ms * 1000)} }}",
            f"max_enqueued_batches {{ value: {config.max_queue} }}",
            f"num_batch_threads {{ value: {config.workers} }}",
            *(f"allowed_batch_sizes: {size}" for size in sizes),
            "pad_variable_length_inputs: false",
            "",
        ]
    )


_SSL = """\
# For --ssl_config_file. The fields hold the PEM texts themselves, not paths. Fill it in, keep it
# secret, and make it with:
#   python - > ssl.config <<'END'
#   for name, path in (("server_key", "key.pem"), ("server_cert", "cert.pem")):
#       text = open(path).read().replace("\\n", "\\\\n")
#       print(f'{name}: "{text}"')
#   print("client_verify: false")
#   END
# Only gRPC then speaks TLS; REST stays plain, so publish no REST port. TF Serving asks no client
# who it is: keep it inside the cluster, behind a proxy that does.
server_key: ""
server_cert: ""
client_verify: false
"""
