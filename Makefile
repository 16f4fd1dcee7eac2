# make demo   paint the photograph that ships with the package
# make test   run the tests
# make test-slow   run those that are left out there: kills, drains, devices, int8
# make lint   check style and types
# make coverage   run the tests and say which lines none of them reaches
# make docs   build the site in site/
# make page   build the page for browsers that ships in export/web/built; needs Node 20
# make test-page   use that page as a person would, in Chromium and Firefox
# Each makes .venv first where there is none. PYTHON picks the interpreter.
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := -n 2 --dist loadfile --durations 10

.PHONY: demo test test-slow lint coverage docs page test-page check-page clean

demo: .venv/installed
	$(BIN)/tfstyle demo -o demo.png

test: .venv/installed
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: .venv/installed
	$(BIN)/python -m pytest $(PARALLEL) --slow -m "slow and not vgg"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: .venv/installed
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report term-missing:skip-covered

docs: .venv/installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	$(BIN)/mkdocs build --quiet

page: .venv/installed check-page
	cd export/web && npm run --silent build
	$(BIN)/python export/web/pack.py

test-page: .venv/installed
	$(BIN)/python -m pip install --quiet -e '.[page-test]'
	if command -v npm >/dev/null && $(MAKE) --no-print-directory export/web/node_modules; \
		then $(MAKE) --no-print-directory check-page; \
		else echo "npm or its registry is not at hand: the page's TypeScript is not checked"; fi
	$(BIN)/python -m pytest --page tests/test_page.py

check-page: export/web/node_modules
	cd export/web && npm run --silent check

export/web/node_modules: export/web/package-lock.json
	cd export/web && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

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
