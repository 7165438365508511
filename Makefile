# make demo    one picture to a textured mesh, with the model that ships here
# make test    lint and tests
# make train-tiny    that model from nothing: objects, Base, Refiner; 65 minutes of training on two cores, and rendering.
#                    Interrupted, it goes on when called again
# `setup` is done by the others when it is needed; PYTHON=... picks the interpreter for it.

TORCH ?= 2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready-$(TORCH)

.PHONY: setup demo test lint format clean train-tiny
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

test: lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

VIEWS := $(BIN)/python scripts/render_views.py --layout cascade
TRAIN := $(BIN)/python launch.py --train use_timestamp=false
# The steps of the two configs; the weights of the last one are what the next stage takes.
BASE := outputs/train-base/tiny
REFINER := outputs/train-refiner/tiny
resume = $(if $(wildcard $(1)/ckpts/last.ckpt),resume=$(1)/ckpts/last.ckpt)
last_weights = $$(ls -d $(1)/save/weights/it*/$(2) | sort -V | tail -n 1)
MODEL := load/cascade-zero123-tiny

train-tiny: $(READY)
	$(VIEWS) --generate 6000 --split train --packed data/train
	$(VIEWS) --generate 200 --split val --packed data/val
	$(TRAIN) --config configs/train-base.yaml $(call resume,$(BASE))
	$(TRAIN) --config configs/train-refiner.yaml system.init_weights=$(call last_weights,$(BASE),base) $(call resume,$(REFINER))
	@# Beside, then renamed: programs that run use the old weights from their files.
	cd $(MODEL) && for part in base refiner; do \
	  rm -rf .new .old && cp -R $(call last_weights,$(CURDIR)/$(REFINER),refiner)/../$$part .new && \
	  { [ ! -e $$part ] || mv $$part .old; } && mv .new $$part && rm -rf .old || exit 1; done

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
