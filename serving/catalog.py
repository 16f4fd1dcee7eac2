"""Which models and versions there are: in a folder, or by TF Serving's models.config."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
LABEL = r"[a-zA-Z0-9_]+"


@dataclass(frozen=True)
class ModelConfig:
    """Where a model lies and which of its versions are wanted.

    Attributes:
        base_path: Folder of the numbered versions.
        latest: How many of the newest versions to serve; 0 for all.
        specific: Versions to serve instead, by number.
        labels: Dict of versions by label. None: "stable" is the oldest that is available, and
            "canary" the newest.
    """

    base_path: Path
    latest: int = 1
    specific: tuple = ()
    labels: dict | None = None

    def wanted(self):
        """Return the versions to serve that exist, `{number: folder}`."""
        found = find_versions(self.base_path)
        if self.specific:
            return {number: found[number] for number in self.specific if number in found}
        return {number: found[number] for number in sorted(found)[-self.latest :]}


def find_versions(folder):
    """Return `{number: path}` of the folders in `folder` whose name is a number."""
    if not Path(folder).is_dir():
        return {}
    return {
        int(path.name): path
        for path in sorted(Path(folder).iterdir(), reverse=True)
        if path.name.isascii() and path.name.isdecimal() and path.is_dir()
    }


def finder(models, latest):
    """Return a function that finds the models of a folder anew, or of a models.config, each time.

    Args:
        models: Path of either.
        latest: How many of the newest versions in a folder are wanted; 0 for all.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If there are no models, or models.config cannot be used.
    """
    find: Callable[[], dict] = functools.partial(find_models, models, latest)
    if Path(models).is_file():
        configs = read_models_config(models)
        find = lambda: configs  # noqa: E731
    if not find():
        raise ValueError(
            f"`models` must hold folders NAME/VERSION with a SavedModel. Received: '{models}'. "
            "Export a style there first."
        )
    return find


def find_models(folder, latest=1):
    """Find the models in a folder.

    Args:
        folder: Path of folders `NAME/VERSION/`; names are of letters, digits and _.-, others and
            those without a numbered folder are passed over.
        latest: How many of the newest versions are wanted; 0 for all.

    Returns:
        `{name: ModelConfig}`.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"`models` must be a folder of models or a models.config. Received: '{folder}'."
        )
    return {
        path.name: ModelConfig(path, latest)
        for path in sorted(Path(folder).iterdir())
        if re.fullmatch(NAME, path.name) and find_versions(path)
    }


def read_models_config(source):
    """Read TF Serving's models.config.

    Args:
        source: Path of a text file, or a `ModelServerConfig` message.

    Returns:
        `{name: ModelConfig}`; relative paths count from the file's folder.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is no such file, or names a model twice, with no path or a bad label.
    """
    folder, message = Path(), source
    if isinstance(source, (str, Path)):
        folder = Path(source).parent
        try:
            message = text_format.Parse(
                Path(source).read_text("utf-8"), model_server_config_pb2.ModelServerConfig()
            )
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(f"'{source}' must be a models.config. Received: {error}") from error
    configs = {}
    for model in message.model_config_list.config:
        named = re.fullmatch(NAME, model.name) and model.name not in configs
        if not named or not model.base_path:
            raise ValueError(
                "Each model must have a base_path and a name of its own, of letters, digits and "
                f"_.-. Received: name={model.name!r}, base_path={model.base_path!r}."
            )
        for label in model.version_labels:
            if not re.fullmatch(LABEL, label):
                raise ValueError(f"A label must be letters, digits and _. Received: {label!r}.")
        policy = model.model_version_policy
        kind = policy.WhichOneof("policy_choice")
        latest = {"all": 0, "latest": policy.latest.num_versions or 1}.get(kind, 1)
        specific = tuple(policy.specific.versions) if kind == "specific" else ()
        base = folder / model.base_path
        configs[model.name] = ModelConfig(base, latest, specific, dict(model.version_labels))
    return configs
