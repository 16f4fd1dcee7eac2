"""What the page on clusters tells to type and to apply: in form, since no cluster is at hand."""

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from tfstyle.cli import train
from tfstyle.cli.batch import parse

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "batch.md").read_text()
CLUSTER = ROOT / "docs" / "cluster"


def commands(name):
    """Return the words of the page's commands of a name."""
    lines = PAGE.replace("\\\n", " ").splitlines()
    found = (re.search(rf"(?:^|\s)({name} .*)", line) for line in lines if line[:1].isalpha())
    words = [shlex.split(match[1], comments=True)[1:] for match in found if match]
    return [each for each in words if each and not each[-1].endswith(".")]


def test_flags_on_the_page_are_ours_or_beams():
    pytest.importorskip("apache_beam")
    from apache_beam.options.pipeline_options import PipelineOptions

    found = commands("tfstyle batch")
    assert len(found) == 7
    runners = set()
    for words in found:
        content, batch, rest = parse(words)
        options = PipelineOptions(rest)
        known = options.get_all_options()
        assert known.keys() == options.get_all_options(retain_unknown_options=True).keys()
        assert content
        assert batch.output
        runners.add(known["runner"])
    assert runners == {None, "FlinkRunner", "DataflowRunner"}


def test_flink_has_as_many_slots_as_the_command_uses():
    cluster = yaml.safe_load((CLUSTER / "flink.yaml").read_text())
    spec = cluster["spec"]
    slots = int(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    (words,) = (words for words in commands("tfstyle batch") if "FlinkRunner" in words)
    flags = dict(itertools.pairwise(words))
    assert slots * spec["taskManager"]["replicas"] == int(flags["--parallelism"])
    assert spec["image"] == f"flink:{flags['--flink_version']}"
    assert spec["flinkVersion"] == "v" + flags["--flink_version"].replace(".", "_")
    (beam,) = spec["taskManager"]["podTemplate"]["spec"]["containers"]
    (port,) = beam["ports"]
    assert flags["--environment_config"] == f"localhost:{port['containerPort']}"


def test_container_copies_what_there_is_and_starts_beams_worker():
    text = (CLUSTER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    assert {word for word, _ in lines} <= {"ARG", "FROM", "COPY", "RUN", "ENV", "ENTRYPOINT"}
    for _, words in (line for line in lines if line[0] == "COPY"):
        assert all((ROOT / source).exists() for source in words.split()[:-1]), words
    assert json.loads(lines[-1][1]) == ["/opt/apache/beam/boot"]
    beam = re.search(r"ARG BEAM=(\d+)\.(\d+)", text)
    least = re.search(r"beam = apache-beam>=(\d+)\.(\d+)", (ROOT / "setup.cfg").read_text())
    assert tuple(map(int, beam.groups())) >= tuple(map(int, least.groups()))


def test_training_job_is_one_that_kubernetes_takes():
    validate = pytest.importorskip("kubernetes_validate")
    service, job = yaml.safe_load_all((CLUSTER / "train.yaml").read_text())
    for resource in (service, job):
        validate.validate(resource, validate.latest_version(), strict=True)
    spec, template = job["spec"], job["spec"]["template"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    (container,) = template["spec"]["containers"]
    (text,) = (each["value"] for each in container["env"] if each["name"] == "TF_CONFIG")
    config = json.loads(text.replace("$(INDEX)", "1"))
    name, port = job["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert config["cluster"]["worker"] == [
        f"{name}-{index}.{name}:{port}" for index in range(spec["completions"])
    ]
    assert spec["parallelism"] == spec["completions"]
    assert config["task"] == {"type": "worker", "index": 1}
    options = train.parse(container["args"])
    assert options.settings.batch_size % spec["completions"] == 0


def test_training_command_on_the_page_is_whole():
    (words,) = commands("tfstyle-train")
    assert train.parse(words).settings.batch_size == 8
    config = re.search(r"TF_CONFIG='(.*)'", PAGE)[1]
    assert json.loads(config)["task"]["index"] == 0
