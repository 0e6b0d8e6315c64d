# Every task of development and CI; each target works in a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SIGHTLINE_HOME ?= $(CURDIR)/.demo
DEMO := SIGHTLINE_HOME=$(SIGHTLINE_HOME)
TASK ?= instance_segmentation

# The demo of each task: the kind of its images, which also names the dataset, how many it draws, its recipe, where the
# first ten images are, as a pattern for the shell, and further options of drawing.
DEMO_OF_instance_segmentation := plates 420 plates 000?.jpg
DEMO_OF_object_detection := plates 420 object_detection_plates 000?.jpg
DEMO_OF_keypoints := figures 700 figures 000?.jpg --figures 1
DEMO_OF_classification := tyres 800 tyres */000?.jpg
DEMO_OF_multi_label := faces 960 faces images/000?.jpg
DEMO_TASKS := $(patsubst DEMO_OF_%,%,$(filter DEMO_OF_%,$(.VARIABLES)))
DEMO_KIND := $(word 1,$(DEMO_OF_$(TASK)))
DEMO_IMAGES ?= $(word 2,$(DEMO_OF_$(TASK)))
DEMO_RECIPE := $(word 3,$(DEMO_OF_$(TASK)))
DEMO_EXAMPLES := $(word 4,$(DEMO_OF_$(TASK)))
DEMO_OPTIONS := $(wordlist 5,9,$(DEMO_OF_$(TASK)))
FUZZ_EXECUTIONS ?= 1000000
REGISTRY ?= sightline
TAG ?= $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' shared/sightline/version.py)
IMAGES ?= base train

.DEFAULT_GOAL := help
.PHONY: help demo test coverage torture fuzz check lint format types imports bench bench-gpu images images-test kubeflow-test kubeflow-commands policy clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

INSTALLING = @echo "installing into $(VENV): about 3 GB to download, 6 GB on disk, 2 to 10 minutes"

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALLING)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[vision,kfp,tracking]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALLING)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[vision,gcs,mysql,kfp,tracking,mlflow,wandb,export,rfdetr,dev]'
	$(PIP) check
	@touch $@ $(VENV)/.run

# Runs a command without its line "next: ...", because the demo prints the next commands itself.
WITHOUT_NEXT = said=$$($(DEMO) $(BIN)/sightline $(1)) || exit; printf '%s\n' "$$said" | sed '/^next: /d'

demo: $(VENV)/.run ## draw images, version them, run the pipeline, print the result and the report's path: TASK=instance_segmentation, object_detection, keypoints, classification, multi_label
	@$(if $(DEMO_KIND),,$(error TASK=$(TASK): expected one of $(DEMO_TASKS)))$(DEMO) $(BIN)/sightline demo draw $(SIGHTLINE_HOME)/$(DEMO_KIND) $(if $(filter plates,$(DEMO_KIND)),,--kind $(DEMO_KIND) )--images $(DEMO_IMAGES) --seed 1$(if $(DEMO_OPTIONS), $(DEMO_OPTIONS))
	@$(call WITHOUT_NEXT,data init $(SIGHTLINE_HOME)/data --remote file://$(SIGHTLINE_HOME)/remote)
	@$(call WITHOUT_NEXT,data add $(SIGHTLINE_HOME)/$(DEMO_KIND) --dataset $(DEMO_KIND) --version v1)
	@$(DEMO) $(BIN)/python pipeline.py run --local --recipe $(DEMO_RECIPE) --set data.tag=$(DEMO_KIND)_ann_v1
	@printf '%s\n' '' 'next:' \
		'  SIGHTLINE_HOME="$(SIGHTLINE_HOME)" "$(CURDIR)/$(BIN)/sightline" model predict champion:$(DEMO_KIND)$(if $(filter object_detection,$(TASK)),/$(TASK)/EIR) "$(SIGHTLINE_HOME)"/$(DEMO_KIND)/$(DEMO_EXAMPLES) --out "$(SIGHTLINE_HOME)/predictions"' \
		'  SIGHTLINE_HOME="$(SIGHTLINE_HOME)" "$(CURDIR)/$(BIN)/sightline" lineage $(DEMO_KIND)_train_v1' \
		'your own images: "Your own data" in README.md'

TEST = OMP_NUM_THREADS=1 KFP_HOST= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev ## run every test, warnings as errors
	$(TEST)

coverage: $(VENV)/.dev ## run every test and list the lines that no test reaches; takes 1.5 times as long
	$(TEST) --cov --cov-report=term

fuzz: $(VENV)/.dev ## fuzz every reader of untrusted input: FUZZ_EXECUTIONS inputs each
	@for target in labelme configuration manifest object_name model_header coco yolo csv; do \
		PYTHONPATH=.:shared $(BIN)/python -m tests.hostile.fuzz $$target --executions $(FUZZ_EXECUTIONS) \
			2>.fuzz.log || { cat .fuzz.log; exit 1; }; done; rm -f .fuzz.log

check: lint types imports ## format, lint, types, import rules

lint: $(VENV)/.dev ## check format and lint without changing files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.dev ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/.dev ## strict type check of the package
	$(BIN)/mypy

imports: $(VENV)/.dev ## check that packages import only downward
	$(BIN)/lint-imports

torture: $(VENV)/.dev ## kill, corrupt and overload everything, in full (15 minutes); make test has a short form
	SIGHTLINE_TORTURE=full OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/torture

KUBEFLOW_TEST = SIGHTLINE_REQUIRE=kubeflow,mariadb,kustomize OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -v -x --no-header

kubeflow-test: $(VENV)/.dev ## run the complete workflow on a real Kubeflow: KFP_HOST, KUBECONFIG, IMAGE_LOADER or REGISTRY (docs/kubeflow.md)
	$(KUBEFLOW_TEST) tests/kubeflow/test_mission.py tests/kubeflow/test_endings_on_kubeflow.py

kubeflow-commands: $(VENV)/.dev ## test every command and error on a real Kubeflow, with small tasks: KFP_HOST, KUBECONFIG, TASK_IMAGE
	$(KUBEFLOW_TEST) tests/kubeflow/test_on_kubeflow.py tests/kubeflow/test_pods_on_kubeflow.py

images: ## build the images of the components: REGISTRY=, TAG=, IMAGES="base train train-cpu"; more in dockerfiles/build.sh
	@dockerfiles/build.sh $(REGISTRY) $(TAG) $(IMAGES)

images-test: $(VENV)/.dev ## run the pipeline of each task in the images of REGISTRY, TAG and IMAGES, unprivileged; docker, or podman through DOCKER_HOST
	SIGHTLINE_REQUIRE=containers OMP_NUM_THREADS=1 \
		SIGHTLINE_TEST_IMAGES=$(REGISTRY)/$(firstword $(IMAGES))-python3.11:$(TAG),$(REGISTRY)/$(lastword $(IMAGES))-python3.11:$(TAG) \
		$(BIN)/python -m pytest -s -v --no-header tests/pipeline/test_in_containers.py

# checkov pins versions that conflict with ours, so it has a separate environment
$(VENV)-policy/.done: manifests/policy.txt
	$(PYTHON) -m venv $(VENV)-policy
	$(VENV)-policy/bin/python -m pip --disable-pip-version-check install --quiet --requirement manifests/policy.txt
	@touch $@

policy: $(VENV)-policy/.done $(VENV)/.dev ## run checkov and hadolint on manifests and Dockerfile; each exception is justified there
	PYTHONPATH=. $(BIN)/python -m tests.manifests.policy $(VENV)-policy/bin

bench: $(VENV)/.dev ## measure speed, relative to a reference in the same run
	PYTHONPATH=. $(BIN)/python -m benchmarks

bench-gpu: $(VENV)/.dev ## measure training on a GPU against torchvision's reference; skips without one
	PYTHONPATH=. $(BIN)/python -m benchmarks gpu

clean: ## remove everything that the targets created, including .venv
	rm -rf $(VENV) $(VENV)-policy .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz .fuzz.log .coverage* build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} + -o -name '*.egg-info' -type d -prune -exec rm -rf {} +
