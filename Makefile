# What a person wants to do, one target each; every target sets up what it needs.
#
#   make demo     replay the drive-by clip, store signed reads, verify the store; send them to a department
#   make test     lint, types and the tests, on Python 3.11 and, where there is one, 3.13
#   make test-all the same with the thorough tests, which take half as long again
#   make lint     ruff and mypy alone
#   make bench    milliseconds a frame by stage, and memory
#   make runtimes the nets' answers on tflite-runtime and on an emulated arm64 processor beside this one's
#   make years    five simulated years of a department (an hour)
#   make faults   the tests that cut, kill and corrupt, with their full figures
#   make mutants  break one line at a time; a survivor is a line that no test guards (an hour)
#   make soak     hours of replay with injected trouble (SOAK_MINUTES=120)
#   make train    train the nets and export them (needs the pictures of ALPR_DATA=DIR)
#   make test-training  the tests of the training, in its own environment (`make test` skips them)
#   make reference  write the pages that are made from the code (commands, HTTP operations)
#   make wheels   build the unit's and the department's wheel into run/wheels
#   make lock     resolve the lock files again
#   make image    build the flashable image and its update into run/image (root and mmdebstrap; 10 minutes)
#   make image-test  boot it under QEMU and try to break it (an hour)
#   make image-lock  write the lock of the Debian packages of the image again
#   make debs     build the packages for a system of your own

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

# The first Python that starts, is 3.11 or newer, and can make a virtual environment.
usable = $(firstword $(foreach one,$(1),$(shell $(one) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(one))))
PYENV_313 := $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3.13)
PYTHON ?= $(call usable,python3.11 python3.13 python3)
# the second Python that `make test` runs on: 3.13, unless the first one is
PYTHON_313 ?= $(if $(findstring 3.13,$(PYTHON)),,$(call usable,python3.13 $(PYENV_313)))

# what the environments hold; `.ci/run` takes the lock file with the optional services too
LOCK ?= requirements.lock
VENV := .venv
VENV_313 := .venv-3.13
VENV_TRAIN := .venv-train
RUN := $(VENV)/bin
DEMO_HOME := run/demo
SOAK_MINUTES ?= 120
ALPR_DATA ?= ../shared/data
# sets that no net trains on, so that a figure on all of them is one on pictures never seen
WITHOUT ?= us-scenes eu-scenes br-scenes eu-crops

PHONY_IMAGE := image image-test image-lock debs
.PHONY: $(PHONY_IMAGE) reference wheels help demo test test-all test-311 test-313 test-training lint bench runtimes faults mutants soak years train lock

help:
	@sed -n 's/^#   make/make/p' Makefile

# $(1): folder, $(2): python, $(3): lock file. --no-deps: the lock is whole, less what picamera2 compiles (pyproject.toml).
# --no-compile: of all modules a quarter is ever loaded, and Python keeps those as compiled then.
define virtual_environment
	@if [ -z "$(2)" ]; then echo "make: no Python 3.11 or newer with venv found; install one (Debian: apt install python3-venv) or set PYTHON=" >&2; exit 3; fi
	test -x $(1)/bin/python || $(2) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $(3)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . --editable ./sync/department
	touch $(1)/.ready
endef

$(VENV)/.ready: $(LOCK) pyproject.toml sync/department/pyproject.toml
	$(call virtual_environment,$(VENV),$(PYTHON),$(LOCK))

# The second Python checks no types and opens no browser, so it gets a lock file without what does: a quarter of it all.
FIRST_ALONE := ast-serialize|axe-playwright-python|librt|mypy|mypy-extensions|playwright|ruff

$(VENV_313)/.ready: $(LOCK) pyproject.toml sync/department/pyproject.toml
	@mkdir -p run && awk '/^[^ ]/ {kept = $$0 !~ /^($(FIRST_ALONE))==/} kept' $(LOCK) >run/second-python.lock
	$(call virtual_environment,$(VENV_313),$(PYTHON_313),run/second-python.lock)

$(VENV_TRAIN)/.ready: detector/training/requirements.lock pyproject.toml
	$(call virtual_environment,$(VENV_TRAIN),$(call usable,python3.11 python3.12),detector/training/requirements.lock)

demo: $(VENV)/.ready
	@rm -rf $(DEMO_HOME) $(DEMO_HOME)-enrolled $(DEMO_HOME)-department
	@$(RUN)/reader --home $(DEMO_HOME) init >/dev/null
	@$(RUN)/reader --home $(DEMO_HOME) run --source tests/replay/drive_by --once --plates
	@$(RUN)/reader --home $(DEMO_HOME) verify
	@cp -a $(DEMO_HOME) $(DEMO_HOME)-enrolled
	@$(RUN)/python -m tests.tools.demo_department --reader $(DEMO_HOME)-enrolled --department $(DEMO_HOME)-department
	@echo "The store is in $(DEMO_HOME). Try next: $(RUN)/reader --home $(DEMO_HOME) query --user demo-supervisor --role ccat-supervisor --purpose investigation --case 26-0815 --images run/pictures"

lint: $(VENV)/.ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

# Both Pythons and lint at once, their environments too: much of it waits for a clock, a process or a package, not for
# a core.
test:
	@$(MAKE) --no-print-directory -j 3 lint test-311 test-313 || \
	{ grep -hE '^(FAILED|ERROR) ' run/test-313.log 2>/dev/null; exit 1; }

test-all:
	@$(MAKE) --no-print-directory test SHORT=

# Tests sync thousands of small files: in memory they wait for no disk, where there is room and files may run.
RAM_DISK := $(shell test -w /dev/shm && ! grep -q '^[^ ]* /dev/shm [^ ]* [^ ]*noexec' /proc/mounts && \
	df -Pm /dev/shm | awk 'NR == 2 && $$4 >= 4096' | grep -q . && \
	awk '/^MemAvailable/ && $$2 >= 8 * 2 ^ 20 {print "/dev/shm"}' /proc/meminfo)
test test-all test-311 test-313: export PYTEST_DEBUG_TEMPROOT ?= $(RAM_DISK)
# ... and start the programs hundreds of times: compiled modules are kept, whatever the environment says.
test test-all test-311 test-313: export PYTHONDONTWRITEBYTECODE :=

# A file each, those with slow tests first. The first Python has more to wait for, and so more workers.
CORES := $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 8 ? cores : 8)))
PARALLEL := --dist loadfile --no-loadscope-reorder
# Left out: what takes seconds and runs nothing of the product that shorter tests do not (tests/README.md).
SHORT := --short

test-311: $(VENV)/.ready
	$(RUN)/pytest -n $$(($(CORES) + 1)) $(PARALLEL) $(SHORT)

# On the second Python: what a version of Python can change, one row of each table, nothing marked slow or one_python.
# That is the parsers, dates, SQLite, TLS and HTTP, threads, archives and dataclasses under every room, and of the
# department's calls one journey of each (api_description). Rules, attacks, faults and nets are the same on any. What it
# prints is shown at its end, not between the lines of the first. tests/README.md says what is left out.
AGAIN_DESK := api api_description at_once clauses command_files command_lines commands controls credentials \
	department_time errors_over_http events evidence_sheet inquiry key_files key_remote machine newer_logs \
	notices older_logs older_store passkeys person_keys policy private_sqlite remote_client root_file search_stream \
	snapshot texts_and_numbers throttle tls training witness zipped
AGAIN_SYNC := arrival_steps authority blobs client_address command_frame damaged_page demo event_log flood founding \
	health hostile http_body message_bounds messages migrations pieces postgres receiver schedule send \
	transport uplink uplink_documents
AGAIN_DETECTOR := card confidence ctc find reader runtime vote
SECOND_ROUND := --short --first-rows -m "not slow and not one_python" --ignore-glob='*_browser.py' tests/alerts tests/console tests/contracts tests/firmware tests/hot_lists \
	tests/hw tests/image tests/storage tests/test_odd_command_lines.py tests/pages/test_every_*.py \
	$(AGAIN_DESK:%=tests/desk/test_%.py) $(AGAIN_SYNC:%=tests/sync/test_%.py) \
	$(AGAIN_DETECTOR:%=tests/detector/test_%.py)

ifeq ($(PYTHON_313),)
test-313:
	@echo "no Python 3.13 here: tested on one Python only"
else
test-313: $(VENV_313)/.ready
	@mkdir -p run && rm -f run/test-313.log
	@if $(VENV_313)/bin/pytest -n $$(($(CORES) > 2 ? ($(CORES) + 1) / 2 : 0)) $(PARALLEL) $(SECOND_ROUND) >run/test-313.log 2>&1; \
	then echo "Python 3.13: $$(tail -1 run/test-313.log)"; else cat run/test-313.log; exit 1; fi
endif

test-training: $(VENV_TRAIN)/.ready
	$(VENV_TRAIN)/bin/python -m pytest -q tests/training/test_training.py

reference: $(VENV)/.ready
	$(RUN)/python -m sync.command_pages reader --markdown firmware/commands/README.md
	$(RUN)/python -m sync.command_pages department --markdown sync/department/commands/README.md
	$(RUN)/python -m tests.tools.http_reference sync/department/desk/HTTP.md
	$(RUN)/python -m tests.tools.draw_architecture firmware/architecture.svg

wheels: $(VENV)/.ready
	ALPR_EXTRAS=released $(RUN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir run/wheels . ./sync/department

bench: $(VENV)/.ready
	$(RUN)/python -m tests.tools.bench

runtimes: $(VENV)/.ready
	tests/detector/other_runtimes.sh run/runtimes
	$(RUN)/pytest -rs tests/detector/test_other_runtimes.py
	$(RUN)/python -m detector.answers note run/runtimes/answers.npz
	-run/runtimes/tflite/python -m detector.answers compare run/runtimes/answers.npz
	-run/runtimes/aarch64/python -m detector.answers compare run/runtimes/answers.npz

faults: $(VENV)/.ready
	ALPR_FAULTS=full $(RUN)/pytest tests/faults tests/attacks tests/console/test_factory_reset.py tests/console/test_line_editor.py tests/console/test_preview.py tests/hw/test_position.py \
	tests/desk/test_api_generated.py tests/desk/test_attack_log.py tests/desk/test_detectors.py tests/desk/test_endings.py \
	tests/desk/test_errors_over_http.py tests/desk/test_every_table.py tests/desk/test_remote_client.py tests/desk/test_wrong_clock_lists.py tests/desk/test_wrong_clocks.py \
	tests/detector/test_flipped.py tests/detector/test_lettering.py tests/detector/test_obstacle.py tests/detector/test_passes_of_all_kinds.py \
	tests/firmware/test_no_read.py tests/firmware/test_real_sequences.py \
	tests/firmware/test_run_process.py tests/pages/test_calendar.py tests/pages/test_every_page.py tests/pages/test_offered_forms.py tests/test_odd_command_lines.py

# Sampled: each survivor is a line that no test guards. See tests/tools/mutation/equivalent.txt.
mutants: $(VENV)/.ready
	$(RUN)/python tests/tools/clause_mutations.py
	$(RUN)/python -m tests.tools.mutants

soak: $(VENV)/.ready
	$(RUN)/python -m tests.tools.soak --minutes $(SOAK_MINUTES)

# A department by its own clock; what it asked of people is printed year by year. About 20 minutes.
years: $(VENV)/.ready
	$(RUN)/python -m tests.tools.years --years 5 --step-days 3

train: $(VENV_TRAIN)/.ready
	$(VENV_TRAIN)/bin/python -m detector.training.train_detector --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/detector
	$(VENV_TRAIN)/bin/python -m detector.training.release detector --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/detector
	$(VENV_TRAIN)/bin/python -m detector.training.train_reader --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/reader
	$(VENV_TRAIN)/bin/python -m detector.training.release reader --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/reader
	$(VENV_TRAIN)/bin/python -m detector.training.calibrate --data $(ALPR_DATA) --without $(WITHOUT)
	$(VENV_TRAIN)/bin/python -m detector.training.temper --data $(ALPR_DATA) --without $(WITHOUT)
	$(VENV_TRAIN)/bin/python -m detector.training.train_state --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/state
	$(VENV_TRAIN)/bin/python -m detector.training.release state --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/state
	$(VENV_TRAIN)/bin/python -m detector.training.train_state --data $(ALPR_DATA) --without $(WITHOUT) --namer detector/models/state-namer.tflite --frozen 2 --steps 10000 --peak-rate 1e-3 --run run/train/state-continued
	$(VENV_TRAIN)/bin/python -m detector.training.release state --data $(ALPR_DATA) --without $(WITHOUT) --keep-last-layer --run run/train/state-continued
	$(VENV_TRAIN)/bin/python -m detector.training.calibrate_state --data $(ALPR_DATA) --without $(WITHOUT)
	$(VENV_TRAIN)/bin/python -m detector.training.train_obstacles --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/obstacles
	$(VENV_TRAIN)/bin/python -m detector.training.release obstacles --data $(ALPR_DATA) --without $(WITHOUT) --run run/train/obstacles
	$(VENV_TRAIN)/bin/python -m detector.training.calibrate_obstacles --data $(ALPR_DATA) --without $(WITHOUT)
	$(VENV_TRAIN)/bin/python -m detector.training.curves run/train/detector run/train/reader
	$(VENV_TRAIN)/bin/python -m detector.training.evaluate --data $(ALPR_DATA) --float run/train/detector run/train/reader --out run/train/evaluation

# --universal: one file for every platform and Python that the project supports.
COMPILE = ALPR_EXTRAS=libraries .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	--generate-hashes --no-emit-index-url --no-annotate --no-header

# What a unit gets: the same versions as requirements.lock, without the extras.
DEVICE_LOCK = $(COMPILE) --constraints requirements.lock --output-file image-build/packages/device.lock pyproject.toml

lock:
	test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv; }
	$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --extra services --output-file .ci/requirements.lock pyproject.toml
	$(COMPILE) --extra train --output-file detector/training/requirements.lock pyproject.toml
	$(DEVICE_LOCK)

# The image. IMAGE_VERSION rises with every release: a unit takes no lower one.
IMAGE_VERSION ?= 1
IMAGE := PYTHONPATH=image-build:image-build/device:. $(RUN)/python -m alpr_image

image: $(VENV)/.ready
	$(IMAGE) build --board virt --version $(IMAGE_VERSION)

image-test: $(VENV)/.ready
	$(IMAGE) test

image-lock: $(VENV)/.ready
	test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv; }
	$(DEVICE_LOCK)
	$(IMAGE) lock

debs: $(VENV)/.ready
	$(IMAGE) deb
