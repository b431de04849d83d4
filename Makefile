# The project's commands. `make help` lists them.
SHELL := /bin/bash
# Many short processes import much: where bytecode may not be kept, each compiles it anew.
unexport PYTHONDONTWRITEBYTECODE
PYTHON := .venv/bin/python
.DEFAULT_GOAL := help

.PHONY: help lab setup venv pulumi test test-unit test-aws test-lab lint audit format docs bench clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: setup ## stand the whole infrastructure up on this machine (as root, on Debian or Ubuntu) and print its URL
	@.venv/bin/webstack lab up

setup: ## install all that the lab and the tests need (packages, Python environment, Pulumi CLI, host image)
	@tools/setup

venv: ## only the Python environment
	@tools/setup --python-only

pulumi: ## the Python environment with the Pulumi CLI in it, for AWS: `. .venv/bin/activate`, then `pulumi …`; needs no root
	@tools/setup --pulumi

test: ## lint and all tests: unit, aws and lab; the lab's tests boot hosts and need root
	@tools/setup --tests
	@$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest -n auto tests/unit tests/aws
	$(PYTHON) -m pytest -n 2 tests/lab

test-unit: venv ## the tests that need neither root nor network
	$(PYTHON) -m pytest -n auto tests/unit

test-aws: setup ## dev and prod through the real engine onto an AWS emulator
	@tools/setup --audit
	$(PYTHON) -m pytest -n auto tests/aws

test-lab: setup ## boot hosts and try all that is promised on them
	@tools/setup --audit
	$(PYTHON) -m pytest -n 2 tests/lab

lint: ## ruff, a strict type checker, shellcheck
	@tools/lint

audit: ## scan dev and prod on an AWS emulator (Prowler, IAM policies), and the repository: its programs, its text, its locks' packages
	@tools/setup --audit
	$(PYTHON) -m audit

format: ## put the code in ruff's format
	$(PYTHON) -m ruff format . && $(PYTHON) -m ruff check --fix .

docs: ## write the documents' tables anew that come from the code
	$(PYTHON) -m tests.doc_tables

bench: ## measure; prints the figures and keeps them as JSON in build/
	@tools/setup --bench
	$(PYTHON) -m benchmarks

clean: ## remove what was made inside the clone (caches outside stay)
	rm -rf .venv build .pytest_cache .ruff_cache .hypothesis *.egg-info
