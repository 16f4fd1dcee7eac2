"""Manifests that run TF Serving: for Docker, compose, Kubernetes and KServe."""

import re

from tfstyle.serving.status import METRICS_PATH

IMAGE = "tensorflow/serving"
TAG = "2.19.1"

_FLAGS = (
    "--model_config_file=/config/models.config",
    "--model_config_file_poll_wait_seconds=60",
    # Labels are known before the versions they name are loaded.
    "--allow_version_labels_for_unavailable_models=true",
    "--monitoring_config_file=/config/monitoring.config",
    "--enable_grpc_healthcheck_service=true",
)


def _flags(config):
    ports = (f"--port={config.port}", f"--rest_api_port={config.rest_port}")
    return (
        *ports,
        f"--rest_api_timeout_in_ms={round(config.request_timeout_s * 1000)}",
        *_FLAGS,
    )


def dockerfile(config):
    """Return the Dockerfile of an image with the models inside; `config` is a `ServeConfig`."""
    flags = ", \\\n     ".join(f'"{flag}"' for flag in _flags(config))
    return f"""\
# One image with the models inside. In this folder:
#   docker build --build-context models=PATH/OF/MODELS -t styles .
#   docker run --rm -p 127.0.0.1:{config.port}:{config.port} styles
ARG TF_SERVING_TAG={TAG}
FROM {IMAGE}:${{TF_SERVING_TAG}}
COPY --from=models . /models
COPY models.config batching_parameters.txt monitoring.config /config/
# The base image runs as root.
USER 1000:1000
EXPOSE {config.port} {config.rest_port}
ENTRYPOINT ["/usr/bin/tensorflow_model_server"]
CMD [{flags}]
"""


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


def _yaml(text):
    """Quote text for YAML."""
    return "'" + text.replace("'", "''") + "'"


def compose(configs, config, place):
    """Return compose.yaml.

    Args:
        configs: `{name: ModelConfig}`.
        config: `ServeConfig`.
        place: Path of the folder of models, as seen from the file.
    """
    flags = "\n".join(f"      - {flag}" for flag in _flags(config))
    check = _yaml(probe(configs, config).replace("$", "$$"))  # compose puts in variables
    return f"""\
# docker compose up, in this folder
services:
  styles:
    image: {IMAGE}:${{TF_SERVING_TAG:-{TAG}}}
    entrypoint: [/usr/bin/tensorflow_model_server]
    command:
{flags}
    user: "1000:1000"
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 4g
    restart: unless-stopped
    stop_grace_period: {round(config.drain_s)}s
    ports:
      - "127.0.0.1:{config.port}:{config.port}"
      - "127.0.0.1:{config.rest_port}:{config.rest_port}"
    volumes:
      - {{type: bind, source: {_yaml(place)}, target: /models, read_only: true}}
      - {{type: bind, source: ., target: /config, read_only: true}}
    healthcheck:
      test: [CMD, bash, -c, {check}]
      interval: 10s
      timeout: 5s
      retries: 3
      start_period: 60s
"""


def kubernetes(configs, config, models_config, monitoring):
    """Return a ConfigMap, a Deployment and a Service as YAML.

    Args:
        configs: `{name: ModelConfig}`.
        config: `ServeConfig`.
        models_config: Text of models.config.
        monitoring: Text of monitoring.config.
    """
    flags = "\n".join(f"            - {flag}" for flag in _flags(config))
    check = _yaml(probe(configs, config))
    models_config, monitoring = _indent(models_config, 4), _indent(monitoring, 4)
    return f"""\
# kubectl apply -f kubernetes.yaml, after the models are in the volume of the claim tfstyle-models.
apiVersion: v1
kind: ConfigMap
metadata:
  name: tfstyle-serving
data:
  models.config: |
{models_config}
  monitoring.config: |
{monitoring}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: tfstyle-serving
  labels: {{app: tfstyle-serving}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: tfstyle-serving}}
  strategy:
    rollingUpdate: {{maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata:
      labels: {{app: tfstyle-serving}}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "{config.rest_port}"
        prometheus.io/path: {METRICS_PATH}
    spec:
      terminationGracePeriodSeconds: {round(config.drain_s) + 15}
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: serving
          image: {IMAGE}:{TAG}
          command: [/usr/bin/tensorflow_model_server]
          args:
{flags}
          ports:
            - {{name: grpc, containerPort: {config.port}}}
            - {{name: rest, containerPort: {config.rest_port}}}
          startupProbe:
            exec: {{command: [bash, -c, {check}]}}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 60
          readinessProbe:
            exec: {{command: [bash, -c, {check}]}}
            periodSeconds: 10
            timeoutSeconds: 5
          livenessProbe:
            grpc: {{port: {config.port}}}
            periodSeconds: 20
            timeoutSeconds: 10
            failureThreshold: 6
          lifecycle:
            preStop:
              exec: {{command: [sleep, "10"]}}
          resources:
            requests: {{cpu: "2", memory: 2Gi}}
            limits: {{memory: 4Gi}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
          volumeMounts:
            - {{name: models, mountPath: /models, readOnly: true}}
            - {{name: config, mountPath: /config, readOnly: true}}
      volumes:
        - name: models
          persistentVolumeClaim: {{claimName: tfstyle-models, readOnly: true}}
        - name: config
          configMap: {{name: tfstyle-serving}}
---
apiVersion: v1
kind: Service
metadata:
  name: tfstyle-serving
spec:
  selector: {{app: tfstyle-serving}}
  clusterIP: None
  ports:
    - {{name: grpc, port: {config.port}, targetPort: grpc, appProtocol: kubernetes.io/h2c}}
    - {{name: rest, port: {config.rest_port}, targetPort: rest}}
"""


def kserve(configs, config):
    """Return an InferenceService for each model, on KServe's own TF Serving runtime, as YAML."""
    timeout_s = max(1, round(config.request_timeout_s))
    return "---\n".join(
        f"""\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {_dns_name(name)}
spec:
  predictor:
    minReplicas: 1
    timeout: {timeout_s}
    model:
      modelFormat: {{name: tensorflow}}
      # The folder of the numbered versions; the newest is served.
      storageUri: pvc://tfstyle-models/{name}
      resources:
        requests: {{cpu: "2", memory: 2Gi}}
        limits: {{memory: 4Gi}}
"""
        for name in configs
    )


def _dns_name(name):
    """Name that Kubernetes takes: lower case, digits and hyphens, a letter first."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (cleaned if cleaned[:1].isalpha() else f"style-{cleaned}")[:63].rstrip("-")


def _indent(text, width):
    return "\n".join(" " * width + line for line in text.rstrip().splitlines())
