import json
import re
import subprocess
import sys

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from tfstyle.cli import main as cli
from tfstyle.serving.catalog import read_models_config
from tfstyle.serving.config import ServeConfig
from tfstyle.serving.deployment import deployment_files
from tfstyle.serving.manifests import probe
from tfstyle.serving.status import METRICS_PATH


@pytest.fixture
def models(tmp_path):
    """Two models: one of versions 9 and 10, one of version 1 alone."""
    for path in ("wave/9", "wave/10", "wave/.part", "Starry_Night.2/1", "no model", "empty"):
        (tmp_path / "models" / path).mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture
def files(models):
    return deployment_files(models, ServeConfig(max_batch_size=6, batch_timeout_ms=1.5))


def message_of(name, fields):
    """Make a message class that the wheel does not ship: {field: (number, kind)}."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="x", syntax="proto3")
    value = file.message_type.add(name="Value").field.add(name="value", number=1, type=3, label=1)
    assert value.name == "value"
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        entry = message.field.add(name=field, number=number, label=3 if kind == "list" else 1)
        entry.type = {"list": 3, "bool": 8, "string": 9}.get(kind, 11)
        if entry.type == 11:
            entry.type_name = f".x.{kind}"
    if name == "Monitoring":
        inner = file.message_type.add(name="Prometheus")
        inner.field.add(name="enable", number=1, type=8, label=1)
        inner.field.add(name="path", number=2, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"x.{name}"))()


def test_models_config_names_every_model(files):
    message = text_format.Parse(files["models.config"], model_server_config_pb2.ModelServerConfig())
    configs = {config.name: config for config in message.model_config_list.config}
    assert list(configs) == ["Starry_Night.2", "wave"]
    wave = configs["wave"]
    assert (wave.base_path, wave.model_platform) == ("/models/wave", "tensorflow")
    assert list(wave.model_version_policy.specific.versions) == [9, 10]
    assert dict(wave.version_labels) == {"stable": 9, "canary": 10}
    assert dict(configs["Starry_Night.2"].version_labels) == {"stable": 1, "canary": 1}


def test_models_config_is_read_back_and_its_labels_are_kept(files, models):
    path = models / "models.config"
    path.write_text(files["models.config"].replace('"/models/', '"').replace("canary", "new"))
    configs = read_models_config(path)
    assert configs["wave"].specific == (9, 10)
    assert configs["wave"].labels == {"stable": 9, "new": 10}
    again = deployment_files(path, ServeConfig())
    assert '"new"' in again["models.config"]
    assert "canary" not in again["models.config"]


def test_labels_stand_for_versions_that_are_served(models):
    path = models / "models.config"
    policy = "model_version_policy { specific { versions: 9 } }"
    path.write_text(f'model_config_list {{ config {{ name: "wave" base_path: "wave" {policy} }} }}')
    text = deployment_files(path, ServeConfig())["models.config"]
    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (wave,) = message.model_config_list.config
    assert list(wave.model_version_policy.specific.versions) == [9]
    assert dict(wave.version_labels) == {"stable": 9, "canary": 9}


def test_batching_parameters_are_those_of_tf_serving(files):
    fields = {
        "max_batch_size": (1, "Value"),
        "batch_timeout_micros": (2, "Value"),
        "max_enqueued_batches": (3, "Value"),
        "num_batch_threads": (4, "Value"),
        "allowed_batch_sizes": (6, "list"),
        "pad_variable_length_inputs": (7, "bool"),
    }
    message = text_format.Parse(files["batching_parameters.txt"], message_of("Batching", fields))
    assert message.max_batch_size.value == 6
    assert message.batch_timeout_micros.value == 1500
    assert list(message.allowed_batch_sizes) == [1, 2, 4, 6]
    assert not message.pad_variable_length_inputs


def test_monitoring_and_ssl_configs_are_those_of_tf_serving(files):
    message = message_of("Monitoring", {"prometheus_config": (1, "Prometheus")})
    text_format.Parse(files["monitoring.config"], message)
    assert message.prometheus_config.enable
    assert message.prometheus_config.path == METRICS_PATH
    fields = {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    }
    text_format.Parse(files["ssl.config.txt"], message_of("Ssl", fields))


def test_the_ssl_note_makes_a_config(files, tmp_path):
    script = re.search(r"<<'END'\n(.*?)# +END", files["ssl.config.txt"], re.S)[1]
    script = re.sub(r"^#   ", "", script, flags=re.M)
    (tmp_path / "key.pem").write_text("-----BEGIN\nkey\n")
    (tmp_path / "cert.pem").write_text("-----BEGIN\ncert\n")
    command = [sys.executable, "-c", script]
    made = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    fields = {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "client_verify": (4, "bool"),
    }
    message = text_format.Parse(made.stdout, message_of("Ssl", fields))
    assert message.server_key == "-----BEGIN\nkey\n"
    assert message.server_cert == "-----BEGIN\ncert\n"


def flags_of(words):
    return dict(word.removeprefix("--").split("=", 1) for word in words)


def test_every_deployment_agrees_on_ports_and_paths(files):
    compose = yaml.safe_load(files["compose.yaml"])["services"]["styles"]
    kubernetes = list(yaml.safe_load_all(files["kubernetes.yaml"]))
    config_map, pod, service = kubernetes[0], kubernetes[1]["spec"]["template"], kubernetes[2]
    container = pod["spec"]["containers"][0]
    command = re.search(r"^CMD (\[.*?\])", files["Dockerfile"], re.S | re.M)[1]
    docker = json.loads(command.replace("\\\n", ""))
    assert flags_of(compose["command"]) == flags_of(container["args"]) == flags_of(docker)
    flags = flags_of(docker)
    assert (flags["port"], flags["rest_api_port"]) == ("8500", "8501")
    assert flags["model_config_file"] == "/config/models.config"
    assert flags["monitoring_config_file"] == "/config/monitoring.config"
    assert not {"enable_batching", "batching_parameters_file"} & set(flags)
    assert [port["port"] for port in service["spec"]["ports"]] == [8500, 8501]
    assert [port["containerPort"] for port in container["ports"]] == [8500, 8501]
    assert compose["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert "EXPOSE 8500 8501" in files["Dockerfile"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/models", "/config"}
    assert {volume["target"] for volume in compose["volumes"]} == {"/models", "/config"}
    assert set(config_map["data"]) == {"models.config", "monitoring.config"}
    for message, text in (
        (model_server_config_pb2.ModelServerConfig(), config_map["data"]["models.config"]),
        (
            message_of("Monitoring", {"prometheus_config": (1, "Prometheus")}),
            config_map["data"]["monitoring.config"],
        ),
    ):
        text_format.Parse(text, message)


def test_kubernetes_probes_limits_and_rights(files):
    _, deployed, service = yaml.safe_load_all(files["kubernetes.yaml"])
    pod = deployed["spec"]["template"]
    container = pod["spec"]["containers"][0]
    assert container["livenessProbe"]["grpc"]["port"] == 8500
    command = container["readinessProbe"]["exec"]["command"]
    assert command == container["startupProbe"]["exec"]["command"]
    assert command[:2] == ["bash", "-c"]
    assert "for m in Starry_Night.2 wave;" in command[2]
    assert container["resources"]["limits"]["memory"] == "4Gi"
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["metadata"]["labels"] == service["spec"]["selector"]
    assert deployed["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    grace_s = pod["spec"]["terminationGracePeriodSeconds"]
    assert grace_s > 10 + ServeConfig().drain_s
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == "8501"


def test_kserve_has_a_service_for_each_model(files):
    services = list(yaml.safe_load_all(files["kserve.yaml"]))
    assert [s["metadata"]["name"] for s in services] == ["starry-night-2", "wave"]
    uris = [s["spec"]["predictor"]["model"]["storageUri"] for s in services]
    assert uris == ["pvc://tfstyle-models/Starry_Night.2", "pvc://tfstyle-models/wave"]
    assert all(s["spec"]["predictor"]["model"]["resources"]["limits"] for s in services)


def test_probe_asks_every_model(models, saved_styles, tmp_path):
    import shutil

    from tfstyle.serving.server import StyleServer

    for name in ("wave", "lake"):
        shutil.copytree(saved_styles / "1", tmp_path / "served" / name / "1")
    settings = ServeConfig(port=0, rest_port=0, poll_s=0.05)
    with StyleServer(tmp_path / "served", settings) as server:
        check = probe(["wave", "lake"], ServeConfig(rest_port=server.rest_port))
        assert subprocess.run(["bash", "-c", check], timeout=10).returncode == 0
        check = probe(["wave", "gone"], ServeConfig(rest_port=server.rest_port))
        assert subprocess.run(["bash", "-c", check], timeout=10).returncode == 1
    assert subprocess.run(["bash", "-c", check], timeout=10, capture_output=True).returncode == 1


def test_compose_finds_the_models(models, tmp_path):
    for folder, source in ((None, str(models)), (tmp_path / "deploy", "../models")):
        text = deployment_files(models, ServeConfig(), folder=folder)["compose.yaml"]
        volumes = yaml.safe_load(text)["services"]["styles"]["volumes"]
        assert volumes[0]["source"] == source


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rest_port": None}, "`port` and `rest_port` must be fixed"),
        ({"port": 0}, "`port` and `rest_port` must be fixed"),
    ],
)
def test_deployment_needs_fixed_ports(models, settings, text):
    with pytest.raises(ValueError, match=text):
        deployment_files(models, ServeConfig(**settings))


def test_deployment_needs_models_in_one_folder(models, tmp_path):
    with pytest.raises(ValueError, match="must hold folders NAME/VERSION"):
        deployment_files(models / "empty", ServeConfig())
    with pytest.raises(FileNotFoundError, match="`models` must be a folder"):
        deployment_files(models / "gone", ServeConfig())
    entry = 'config {{ name: "{}" base_path: "{}" }}'
    for name, path, text in (
        ("lake", "models/wave", "each in a folder of its name"),
        ("empty", "models/empty", "Model empty must have a version"),
    ):
        (tmp_path / "x.config").write_text(f"model_config_list {{ {entry.format(name, path)} }}")
        with pytest.raises(ValueError, match=text):
            deployment_files(tmp_path / "x.config", ServeConfig())
    for name in ("a b", "", "x;rm", "a'"):
        (tmp_path / "x.config").write_text(
            f"model_config_list {{ {entry.format(name, 'models/wave')} }}"
        )
        with pytest.raises(ValueError, match="a name of its own, of letters"):
            deployment_files(tmp_path / "x.config", ServeConfig())


def test_command_prints_and_writes(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfstyle.cli.serve.load_tensorflow", lambda: pytest.fail("not needed"))
    assert cli.main(["serve", str(models), "--print-config", "--port", "9000"]) == 0
    printed = capsys.readouterr().out
    assert "# ---- models.config\nmodel_config_list {" in printed
    assert "--port=9000" in printed
    folder = tmp_path / "deploy"
    assert cli.main(["serve", str(models), "--write-config", str(folder)]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names == set(deployment_files(models, ServeConfig()))
    assert len(capsys.readouterr().out.splitlines()) == len(names)
    assert cli.main(["serve", str(models / "empty"), "--print-config"]) == 2


def test_printing_loads_no_tensorflow(models, run_without_tensorflow):
    run_without_tensorflow(f"""
        from tfstyle.cli.main import main
        assert main(["serve", {str(models)!r}, "--print-config"]) == 0
    """)
