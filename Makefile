# make demo   run the example flows in test mode, then their debug notebooks
# make lab    open JupyterLab on the debug notebooks
# make test   run every test
# make lint   ruff, mypy and kit check
# make bench  kit against its peers, in one go: %load_ext, and a replay against spin
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo lab test lint bench clean

demo: $(VENV)/examples
	$(BIN)/kit test

lab: $(VENV)/examples .metaflow
	$(BIN)/jupyter lab --allow-root --LabApp.default_url=/lab/tree/notebooks/debug_train.ipynb

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/kit check

bench: $(VENV)/dev
	$(BIN)/python tests/benchmarks

# The runs that the debug notebooks look at. Metaflow refuses to start as root unless it is given another name.
.metaflow: | $(VENV)/examples
	mkdir -p .metaflow
	export USERNAME="$${USERNAME:-jupyter}" && \
	$(BIN)/python flows/train.py --no-pylint run && \
	$(BIN)/python flows/predict.py --no-pylint run && \
	$(BIN)/python flows/fractalflow.py --no-pylint --environment=unpinned run --test_mode 1 \
	|| { rm -rf .metaflow; exit 1; }

# uv installs in seconds, and compiles; where it cannot reach the index that pip is configured for, pip does.
$(VENV)/examples $(VENV)/dev: pyproject.toml | $(BIN)/uv
	@echo "installing kit with its extra $(@F) into $(VENV)"
	@UV_COMPILE_BYTECODE=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[$(@F)]' \
	|| $(BIN)/python -m pip install --quiet --editable '.[$(@F)]'
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	echo "$(PYTHON) cannot make an environment: install its venv module (Debian: apt-get install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'

clean:
	rm -rf $(VENV) .kit .mypy_cache .pytest_cache .ruff_cache
