# make setup | demo | test | fuzz | lint | bench | pictures: each works from a fresh clone, with nothing done before.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test fuzz lint bench pictures clean

setup: $(VENV)/.ready system-libraries

# Made again when the requirements change.
$(VENV)/.ready: pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@# Only for the head in its data folder; what it needs to run is left out.
	$(BIN)/python -m pip install --quiet --no-deps 'nilearn>=0.11,<1'
	touch $@

.PHONY: system-libraries
system-libraries: $(VENV)/.ready
	@$(BIN)/python Testing/host/system_libraries.py

demo: setup
	PYTHONPATH=Testing/host $(BIN)/python Testing/demo

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=MedNeXtSegment $(BIN)/lint-imports
	$(BIN)/mypy

# A process for each core: most tests are one thread's work. TEST_PROCESSES=0 runs all in one process. Files go out in their order and not
# by their number of tests: the longest tests are alone in their files, and would leave one process waiting at the end.
TEST_PROCESSES ?= auto
test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest Testing --numprocesses $(TEST_PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Broken and random inputs; goes on where the last run stopped: make fuzz FUZZ="--hours 8", FUZZ="--fresh --inputs 10000", FUZZ="--kind dicom".
fuzz: setup
	PYTHONPATH=MedNeXtSegment:Testing:Testing/engine $(BIN)/python -m fuzz $(FUZZ)

# nnU-Net, which only the benchmark compares with, apart from the environment so that it can replace nothing there.
build/bench/.ready: requirements-bench.txt $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --no-deps --target build/bench -r requirements-bench.txt
	touch $@

bench: setup build/bench/.ready
	PYTHONPATH=Testing/engine:MedNeXtSegment $(BIN)/python Testing/engine/nnunet_training.py build/nnunet_trained.zip
	PYTHONPATH=Testing/engine:MedNeXtSegment $(BIN)/python Testing/engine/nnunet_v1_training.py build/nnunet_v1_trained.zip
	NNUNET_TRAINED=$(CURDIR)/build/nnunet_trained.zip NNUNET_V1_TRAINED=$(CURDIR)/build/nnunet_v1_trained.zip \
		$(BIN)/python -m pytest Testing/engine/models/test_nnunet_trained.py Testing/engine/models/test_nnunet_v1_trained.py
	$(BIN)/python Testing/benchmarks/network_benchmark.py --quick --output build/bench_network.json
	$(BIN)/python Testing/benchmarks/pipeline_benchmark.py --quick --output build/bench_pipeline.json
	$(BIN)/python Testing/benchmarks/pipeline_phases.py --quick
	$(BIN)/python Testing/benchmarks/training_benchmark.py --quick --output build/bench_training.json

# The pictures of the Evaluate tab show data from the folder beside the checkout; make pictures MEDNEXTSEG_SHARED=... where it lies elsewhere.
MEDNEXTSEG_SHARED ?= ../shared
SCREENSHOTS ?= Resources/Screenshots
PICTURE := PYTHONPATH=MedNeXtSegment:Testing/host:Testing/engine $(BIN)/python -m pictures.

pictures: setup
	$(PICTURE)panel $(SCREENSHOTS)
	$(PICTURE)refine $(SCREENSHOTS)/refine.png
	$(PICTURE)whole_object $(SCREENSHOTS)/refine-whole-object.png
	$(PICTURE)evaluate $(MEDNEXTSEG_SHARED)/data/hippocampus hippocampus_286 $(SCREENSHOTS)
	$(PICTURE)models $(SCREENSHOTS)
	$(PICTURE)adapt $(SCREENSHOTS)

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis
