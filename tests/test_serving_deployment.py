import ast
import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from tfstyle.cli import main as cli
from tfstyle.export.picture_headers import MAX_SCANS, MAX_SEGMENTS
from tfstyle.serving.catalog import read_models_config
from tfstyle.serving.config import ServeConfig
from tfstyle.serving.deployment import deployment_files, probe
from tfstyle.serving.rest import MAX_CONNECTIONS
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


def read_config(text):
    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {config.name: config for config in message.model_config_list.config}


def test_models_config_names_every_model_and_serves_versions_to_come(files):
    configs = read_config(files["models.config"])
    assert list(configs) == ["Starry_Night.2", "wave"]
    wave = configs["wave"]
    assert (wave.base_path, wave.model_platform) == ("/models/wave", "tensorflow")
    assert wave.model_version_policy.latest.num_versions == 2
    assert dict(wave.version_labels) == {}  # a label would name one version for ever


@pytest.mark.parametrize(("keep", "policy"), [(1, 2), (5, 5), (0, "all")])
def test_as_many_versions_are_served_as_are_kept(models, keep, policy):
    text = deployment_files(models, ServeConfig(keep_versions=keep))["models.config"]
    found = read_config(text)["wave"].model_version_policy
    assert found.WhichOneof("policy_choice") == ("all" if policy == "all" else "latest")
    assert policy == "all" or found.latest.num_versions == policy


def test_models_config_is_read_back(files, models):
    path = models / "models.config"
    path.write_text(files["models.config"].replace('"/models/', '"'))
    again = read_models_config(path)["wave"]
    assert (again.latest, list(again.wanted())) == (2, [9, 10])
    assert deployment_files(path, ServeConfig())["models.config"] == files["models.config"]


def test_policy_and_labels_of_a_models_config_are_kept(models):
    path = models / "models.config"
    policy = "model_version_policy { specific { versions: 9 versions: 10 } }"
    label = 'version_labels { key: "new" value: 10 }'
    entry = f'config {{ name: "wave" base_path: "wave" {policy} {label} }}'
    path.write_text(f"model_config_list {{ {entry} }}")
    wave = read_config(deployment_files(path, ServeConfig())["models.config"])["wave"]
    assert list(wave.model_version_policy.specific.versions) == [9, 10]
    assert dict(wave.version_labels) == {"new": 10}


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
    _, deployed, service, scaler, budget = yaml.safe_load_all(files["kubernetes.yaml"])
    assert "replicas" not in deployed["spec"]  # applied anew, it would undo the autoscaler's work
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployed["metadata"]["name"])
    assert budget["spec"]["selector"] == deployed["spec"]["selector"]
    assert budget["spec"]["minAvailable"] < scaler["spec"]["minReplicas"]
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


def test_kserve_has_a_service_for_each_model_under_its_name(files):
    services = list(yaml.safe_load_all(files["kserve.yaml"]))
    assert [s["metadata"]["name"] for s in services] == ["starry-night-2", "wave"]
    specs = [s["spec"]["predictor"]["model"] for s in services]
    names = ["Starry_Night.2", "wave"]
    assert [spec["args"] for spec in specs] == [[f"--model_name={name}"] for name in names]
    assert [s["storageUri"] for s in specs] == [f"pvc://tfstyle-models/{name}" for name in names]
    for spec in specs:
        assert spec["resources"]["limits"]
        # KServe's runtime serves gRPC there, and h2c tells its proxies that it is no HTTP/1.
        assert spec["ports"] == [{"name": "h2c", "containerPort": 9000, "protocol": "TCP"}]


def test_kserve_refuses_names_that_become_one(tmp_path):
    for name in ("starry.night", "Starry_Night"):
        (tmp_path / name / "1").mkdir(parents=True)
    with pytest.raises(ValueError, match="must differ in letters and digits"):
        deployment_files(tmp_path, ServeConfig())


# Held against the schemas of those who read them


def test_kubernetes_takes_the_manifests(files):
    validate = pytest.importorskip("kubernetes_validate")
    version = validate.latest_version()
    resources = list(yaml.safe_load_all(files["kubernetes.yaml"]))
    patch = yaml.safe_load(files["kubernetes-gpu.patch.yaml"])
    (changed,) = patch["spec"]["template"]["spec"]["containers"]
    deployment = copy.deepcopy(resources[1])
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["name"] == changed["name"]  # by which `kubectl patch` finds it
    container["resources"]["limits"] |= changed["resources"]["limits"]
    container["image"] = changed["image"]
    assert container["image"].endswith("-gpu")
    for resource in (*resources, deployment):
        validate.validate(resource, version, strict=True)
    with pytest.raises(validate.ValidationError):
        validate.validate(resources[0] | {"dats": {}}, version, strict=True)


def test_compose_takes_its_file(models, tmp_path):
    command = next(
        (c for c in (["docker", "compose"], ["docker-compose"]) if runs([*c, "version"])), None
    )
    if command is None:
        pytest.skip("neither docker compose nor docker-compose is installed")
    folder = tmp_path / "deploy"
    folder.mkdir()
    text = deployment_files(models, ServeConfig(), folder=folder)["compose.yaml"]
    (folder / "compose.yaml").write_text(text)
    done = subprocess.run(
        [*command, "-f", "compose.yaml", "config"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (service,) = yaml.safe_load(done.stdout)["services"].values()
    assert service["volumes"][0]["source"] == str(models)
    assert "$$m" in service["healthcheck"]["test"][-1]  # one dollar, once compose has read it


def runs(command):
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_kserve_takes_its_file(files):
    folder = Path(sys.prefix) / "clients" / "kserve" / "models"
    if not folder.is_dir():
        pytest.skip(
            "kserve pins packages that others here need newer: `make test` installs it aside, with "
            f"pip install --no-deps --target {folder.parents[1]} kserve"
        )
    kinds = {}
    for path in folder.glob("v1beta1_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                tables = {
                    each.targets[0].id: ast.literal_eval(each.value)
                    for each in node.body
                    if isinstance(each, ast.Assign)
                }
                kinds[node.name] = {
                    key: tables["openapi_types"][name]
                    for name, key in tables["attribute_map"].items()
                }

    def check(value, kind):
        """Hold a value against a type of KServe; those of Kubernetes have another test."""
        if kind.startswith("list["):
            assert isinstance(value, list)
            for item in value:
                check(item, kind[5:-1])
        elif kind in kinds:
            assert set(value) <= set(kinds[kind]), (kind, set(value) - set(kinds[kind]))
            for key, item in value.items():
                check(item, kinds[kind][key])
        elif kind in ("str", "int", "bool"):
            assert type(value).__name__ == kind

    for service in yaml.safe_load_all(files["kserve.yaml"]):
        check(service, "V1beta1InferenceService")
        model = service["spec"]["predictor"]["model"]
        with pytest.raises(AssertionError, match="storageUrl"):
            check(model | {"storageUrl": ""}, "V1beta1ModelSpec")


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
    again = ["serve", str(folder / "models.config"), "--write-config", str(folder)]
    before = (folder / "models.config").read_text()
    assert cli.main(again) == 2
    assert (folder / "models.config").read_text() == before
    names = {path.name for path in folder.iterdir()}
    assert names == set(deployment_files(models, ServeConfig()))
    assert len(capsys.readouterr().out.splitlines()) == len(names)
    assert cli.main(["serve", str(models / "empty"), "--print-config"]) == 2


def test_printing_loads_no_tensorflow(models, run_without_tensorflow):
    run_without_tensorflow(f"""
        from tfstyle.cli.main import main
        assert main(["serve", {str(models)!r}, "--print-config"]) == 0
    """)


def test_the_page_on_serving_names_flags_that_there_are(capsys):
    known = set()
    for command in ("serve", "client", "export"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        known |= set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    page = (Path(__file__).parents[1] / "docs" / "serving.md").read_text("utf-8")
    named = set(re.findall(r"--[a-z][a-z-]+(?![\w-])", page))
    assert len(named) > 12
    assert named <= known


def test_the_page_on_serving_names_the_limits_that_there_are():
    page = (Path(__file__).parents[1] / "docs" / "serving.md").read_text("utf-8")
    limits = re.findall(r"^\| `--([a-z-]+)` \| ([0-9]+)", page, re.M)
    assert len(limits) == 6
    for flag, value in limits:
        assert getattr(ServeConfig(), flag.replace("-", "_")) == float(value)
    assert f"over {MAX_SCANS} scans or {MAX_SEGMENTS} segments" in page
    assert f"{MAX_CONNECTIONS} connections" in page
