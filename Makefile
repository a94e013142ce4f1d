# `make demo` shows the whole way, `make test` checks it; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DATA ?= synthetic
DEMO ?= demo
NAME ?= smoke

# Threads that wait sleep; spinning ones take the core from the process that would end their wait.
export OMP_WAIT_POLICY := PASSIVE
# Bytecode is kept, whatever the environment says: without it each process compiles its thousands of modules anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage lint format notebooks experiment lab serve clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv and install the package with the pinned versions

# On a terminal the installers show how far they are; in a log they would fill pages.
# uv installs in parallel, and compiles when told to, as pip does; pip takes over where uv cannot reach its index.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genre_lib needs Python 3.11 or newer; this is %s. Name another: make PYTHON=python3.12 …" % sys.version.split()[0] or 0)'
	@echo "==> Making $(VENV) and installing genre_lib with the versions in constraints.txt:"
	@echo "    about 6 GB on disk, most of it PyTorch with its CUDA libraries; how long it takes is the network's to say"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@quiet=$$(test -t 2 || echo --quiet); \
	$(BIN)/uv pip install $$quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev,openvino]' \
	  || $(BIN)/python -m pip install $$quiet --constraint constraints.txt --editable '.[dev,openvino]'
	@touch $@

demo: $(STAMP) ## fine-tune, evaluate, promote, serve and predict once; DATA=folder for your own music
	@$(BIN)/python -m genre_lib.demo --data-path "$(DATA)" --output-path "$(DEMO)"

test: $(STAMP) ## run all tests, two files at a time
	@echo "==> Running the tests"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/

coverage: $(STAMP) ## run all tests and say which lines they miss
	@$(BIN)/python -m pytest --cov=genre_lib --cov-report=term-missing tests/

lint: $(STAMP) ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy genre_lib serve.py

format: $(STAMP) ## rewrite the sources in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

notebooks: $(STAMP) ## run every notebook on its defaults
	@$(BIN)/python -m pytest --nbval-lax --nbval-cell-timeout=600 notebooks/

experiment: $(STAMP) ## fine-tune by experiments/NAME.yaml
	@$(BIN)/genre finetune -f "experiments/$(NAME).yaml"

# Root, as whom containers run, must ask for it; the server answers this machine alone either way.
lab: $(STAMP) ## open JupyterLab on the notebooks
	@$(BIN)/jupyter lab --ip=127.0.0.1 --notebook-dir=notebooks $$(test "$$(id -u)" != 0 || echo --allow-root)

serve: $(STAMP) ## serve the promoted model over HTTP
	@$(BIN)/python serve.py

clean: ## remove .venv and what the demo made
	@rm -rf $(VENV) $(DEMO) .pytest_cache .ruff_cache .mypy_cache
