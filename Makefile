# make demo   paint the photograph that ships with the package
# make test   run the tests
# make lint   check style
# make docs   build the site in site/
# Each makes .venv first where there is none. PYTHON picks the interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs clean

demo: .venv/installed
	$(BIN)/tfstyle demo -o demo.png

test: .venv/installed
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	$(BIN)/mkdocs build --quiet

# min-tfs-client brings a `tensorflow` of its own, kserve pins what others need newer: they go aside,
# where their tests find them.
.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test,lint,video]'
	$(BIN)/python -m pip install --quiet --no-deps --target .venv/clients min-tfs-client kserve
	touch $@

clean:
	rm -rf .venv build *.egg-info
