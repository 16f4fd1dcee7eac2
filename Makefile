# make demo   paint the picture that ships with the package
# make test   run the tests
# make lint   check style
# Each makes .venv first where there is none. PYTHON picks the interpreter.
PYTHON ?= python3
BIN := .venv/bin

# Weights of the loss network beside the test data spare the demo Keras' download.
TFSTYLE_TEST_DATA ?= ../shared/data
WEIGHTS := $(abspath $(wildcard $(TFSTYLE_TEST_DATA)/weights/vgg19_notop.weights.h5))

.PHONY: demo test lint clean

demo: .venv/installed
	TFSTYLE_VGG19_WEIGHTS=$${TFSTYLE_VGG19_WEIGHTS:-$(WEIGHTS)} $(BIN)/tfstyle demo -o demo.png

test: .venv/installed
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test,lint,video]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
