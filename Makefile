# make demo   install, embed and name real recordings with the bundled model, draw a picture
# make serve  open the page on them: see, hear and judge
# make test   install, then every check but the long tests
# make test-long   kills, large archives, clusters: minutes
# make test-page   the page of `serve`: types, bytes, and its tests in Chromium; needs Node, minutes
# make docs   install, then build the site into build/docs; needs no network after that
#
# PYTHON=python3.12 chooses the interpreter, PIP_ARGS="..." goes to pip (for example an index of CPU wheels).

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS) --constraint constraints.txt

.PHONY: demo serve test test-long test-page docs clean

demo: $(VENV)/.demo-installed
	$(BIN)/python demo/demo.py

serve: $(VENV)/.demo-installed
	@[ -d demo_output/demo.store ] || $(BIN)/python demo/demo.py
	$(BIN)/dawnchorus serve demo_output/demo.store

test: $(VENV)/.test-installed
	BIN=$(BIN) sh .ci/check

test-long: $(VENV)/.test-installed
	$(BIN)/python -m pytest -n 2 -m long --durations=5

test-page: $(VENV)/.test-installed
	BIN=$(BIN) sh .ci/page

docs: $(VENV)/.test-installed
	BIN=$(BIN) sh .ci/docs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dawnchorus needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch first and pinned, so that the choice of its build is not left to another package
$(VENV)/.torch-installed: constraints.txt | $(VENV)/bin/python
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(VENV)/.demo-installed: pyproject.toml constraints.txt $(VENV)/.torch-installed
	$(PIP) --editable '.[plot,serve,search]'
	@touch $@

$(VENV)/.test-installed: pyproject.toml constraints.txt requirements-dev.txt $(VENV)/.torch-installed
	$(PIP) --editable '.[av,data,train,probe,plot,search,serve,ray,s3,onnx,docs]' --requirement requirements-dev.txt
	@touch $@ $(VENV)/.demo-installed

clean:
	rm -rf $(VENV) build dist demo_output
