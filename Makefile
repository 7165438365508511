# make demo    one picture to a textured mesh, with the model that ships here
# make app     the page, at http://127.0.0.1:7860 (PORT=...); installs what it needs first
# make cut-out the weights of a network that cuts busy photographs out, offline from then on; `make app` has them
# make test    lint and tests
# make test-page  the page in a headless Chromium (chromium and chromedriver are to be installed)
# make faults  3,000 hostile inputs, and kills at random moments of a main job, a batch and a training
# make train-tiny    that model from nothing: objects, Base, Refiner; 80 minutes of training on two cores, and rendering.
#                    Interrupted, it goes on when called again
# `setup` is done by the others when it is needed; PYTHON=... picks the interpreter for it.

TORCH ?= 2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready-$(TORCH)

.PHONY: setup setup-app demo app cut-out test test-page lint format clean train-tiny faults
.DELETE_ON_ERROR:

setup: $(READY)

# torch comes first and pinned: left to the others' requirements, pip may choose a build that draws in CUDA's libraries.
$(READY): pyproject.toml constraints.txt
	@python=$$(PYTHON="$(PYTHON)" sh scripts/find_python.sh) && \
	  { [ -x $(BIN)/python ] || { echo "making $(VENV) with $$python" && "$$python" -m venv $(VENV); }; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/python launch.py --config configs/cascade-zero123.yaml --train data.image_path=load/images/cat.png

setup-app: $(READY)-app

app: $(READY)-app
	$(BIN)/python app.py

$(READY)-app: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,app]"
	@$(MAKE) --no-print-directory cut-out || echo "busy photographs are masked by hand until \`make cut-out\` works"
	@touch $@

cut-out: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,cut-out]"
	$(BIN)/python scripts/fetch_cut_out.py

test-page: $(READY)-app
	$(BIN)/python -m pytest -m page tests/web

test: lint
	$(BIN)/python -m pytest

# A failing case is printed as hypothesis found it; the counts are kept in docs/reliability.md.
faults: $(READY)
	FAULT_CASES=3000 $(BIN)/python -m pytest tests/faults
	$(BIN)/python tests/faults/kills.py --kills 5

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

VIEWS := $(BIN)/python scripts/render_views.py --layout cascade

train-tiny: $(READY)
	$(VIEWS) --generate 6000 --split train --packed data/train
	$(VIEWS) --generate 200 --split val --packed data/val
	$(BIN)/python scripts/train_tiny.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
