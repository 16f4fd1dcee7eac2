#!/usr/bin/env bash
# Try the oldest and the newest TensorFlow, Keras, NumPy and Pillow that setup.cfg claims, each in a
# fresh environment. PYTHON picks the interpreter. Tests of extras, which want a newer protobuf than
# the oldest TensorFlow, are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
for versions in lowest newest; do
  environment=$(mktemp -d)
  "${PYTHON:-python3}" -m venv "$environment"
  constraints=()
  [ $versions = lowest ] && constraints=(-c tests/lowest.txt)
  "$environment/bin/python" -m pip install --quiet --upgrade pip
  "$environment/bin/python" -m pip install --quiet "${constraints[@]}" -e . \
    pytest scipy imageio hypothesis pyyaml
  "$environment/bin/python" -m pip list | grep -iE "^(tensorflow|keras|numpy|pillow) "
  "$environment/bin/python" -m pytest -q tests/test_{config,files,images,losses,terms,distributions}.py \
    tests/test_{networks,features,model,optimize,lbfgs,pieces,painting,transfer,zoo,instant}.py \
    tests/test_{training,any_style,export_saved_model}.py
  rm -r "$environment"
done
