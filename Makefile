# Targets for people; `make run` needs Python 3.11 or newer and nothing else.
# PORT, DATA_DIR and the other settings come from the environment, see docs/configuration.md.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n auto --dist loadfile
N ?= 2000
MINUTES ?= 120

# Candidates: the first that runs and is new enough is taken (a pyenv shim may exist and fail).
PYTHON ?= python3.13 python3.12 python3.11 python3

# $(call install,FILE,WHAT): install a requirements file, unless its text (and that of the files it
# may include) is what was installed last.
define install
	@test -x $(BIN)/pip || { for python in $(PYTHON); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& exec $$python -m venv --clear $(VENV); done; \
	echo "Python 3.11 or newer was not found: set PYTHON." >&2; exit 1; }
	@cat requirements.txt requirements-otel.txt $(1) | cmp -s - $(VENV)/$(1).installed || { \
	echo "Installing $(2) into $(VENV); this happens once."; \
	$(BIN)/pip install --quiet --disable-pip-version-check -r $(1) \
	&& cat requirements.txt requirements-otel.txt $(1) > $(VENV)/$(1).installed; }
endef

.PHONY: run test test-postgres test-ray check frontend lock pictures bench capacity soak faults security clean venv venv-bench venv-dev venv-frontend venv-ray

run: venv ## the system with its examples, on http://127.0.0.1:$PORT
	@exec $(BIN)/python manage.py up

test: venv-dev ## every test that this machine can run
	$(BIN)/pytest $(PYTEST_ARGS)

test-postgres: venv-dev ## the same on PostgreSQL; DATABASE_URL, or a server of its own
	$(if $(DATABASE_URL),,$(BIN)/python -m tests.postgres )$(BIN)/pytest $(PYTEST_ARGS)

test-ray: venv-dev venv-ray ## what every cluster does, by Ray, and what dies: two nodes on this machine
	RAY_USAGE_STATS_ENABLED=0 $(BIN)/pytest tests/ray

check: venv-dev venv-frontend ## style, types, layers, migrations, and that the front end is built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	SECRET_KEY=check DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python frontend/build.py --check

frontend: venv-frontend ## the studio and what else is generated and committed
	$(BIN)/python frontend/build.py

lock: venv-dev ## what the image installs: every package that requirements.txt needs, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes \
	--no-annotate --custom-compile-command 'make lock' -o requirements.lock requirements.txt

pictures: venv-dev ## those of the documents, from a real system
	$(BIN)/python docs/img/take.py

bench: venv-bench ## the measurements of bench/, beside peers in the same run
	$(BIN)/python bench/chain.py
	$(BIN)/python bench/hop.py
	$(BIN)/python bench/dev_execute.py
	$(BIN)/python bench/templates.py
	$(BIN)/python bench/workers.py
	$(BIN)/python bench/groups.py
	$(BIN)/python bench/feed.py
	$(BIN)/python bench/many.py
	$(BIN)/python bench/scale.py

capacity: venv-dev ## what runners, loops and items cost here, and what a fleet would; see docs/capacity.md
	$(BIN)/python -m tests.postgres $(BIN)/python bench/footprint.py
	$(BIN)/python bench/capacity_model.py

soak: venv-dev ## three workflows for MINUTES while runners are killed, and what piles up
	SOAK_MINUTES=$(MINUTES) $(BIN)/pytest tests/faults/test_soak.py

faults: venv-dev ## the tests that kill, pause or cut off processes; N items in each row
	FAULT_ITEMS=$(N) $(BIN)/pytest tests/faults tests/cluster -m fault -n 2

security: venv-dev ## what attackers try at every door, with tables of what came of it
	BODIES=10000 $(BIN)/pytest tests/security

clean: ## what was built; the data folder stays
	rm -rf $(VENV) frontend/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

venv:
	$(call install,requirements.txt,the pinned packages)

venv-bench:
	$(call install,requirements-bench.txt,what is measured beside us)

venv-dev:
	$(call install,requirements-dev.txt,what tests and checks need)

venv-ray:
	$(call install,requirements-ray.txt,Ray)

venv-frontend:
	$(call install,requirements-frontend.txt,a pinned Node)
