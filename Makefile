# Every target runs the doctor first and brings .venv in line with uv.lock; the logic is in scripts/.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):  \#\# .*/\1/p' $(MAKEFILE_LIST))
# Node and Java may be wheels in .venv; what the machine has comes first.
export PATH := $(PATH):$(CURDIR)/.venv/bin
READY = @sh scripts/python.sh scripts/ready.py $@
RUN = .venv/bin/python

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):  ## /\1@/p' $(MAKEFILE_LIST) | awk -F@ '{printf "make %-12s %s\n", $$1, $$2}'

doctor:  ## say what this machine has and lacks, with the command that mends it
	@sh scripts/python.sh scripts/doctor.py

demo:  ## run jobs on this machine and show what became of them (< 60 s; needs no Node, Java, Docker or root)
	$(READY)
	@$(RUN) scripts/demo.py

test:  ## run all tests but those that need a cluster (<= 12 minutes on 2 cores)
	$(READY)
	@$(RUN) -m pytest -n 2 --dist loadgroup -m "not cluster and not soak and not conformance" --ignore tests/e2e $(ARGS)

check:  ## everything static: format, lint, types, imports, lock, generated files, licences
	$(READY)
	@$(RUN) scripts/check.py

conformance:  ## hold the recorded jobs of the original worker against ours (CASES='http-ingest/*': some of them)
	$(READY)
	@$(RUN) -m pytest tests/conformance -m conformance -q $(ARGS)

e2e:  ## run the scenarios on a kind cluster (<= 25 minutes on a ready host)
	$(READY)
	@$(RUN) -m pytest tests/e2e -m "not slow" $(ARGS)

e2e-full:  ## those of e2e and the slow ones: nodes that fall silent, are removed, run short (ARGS="-m slow": only they)
	$(READY)
	@$(RUN) -m pytest tests/e2e $(ARGS)

images:  ## build operator and runners and print their sizes (REGISTRY=host/path TAG=1.2 PUSH=1)
	$(READY)
	@$(RUN) scripts/images.py --registry "$(REGISTRY)" --tag "$(TAG)" $(if $(PUSH),--push)

bench-images:  ## container start to a processor's first line, beside `python -c pass`, in what `make images` built
	$(READY)
	@PYTHONPATH=tests:scripts $(RUN) tests/bench/containers.py $(ARGS)

soak:  ## 10,000 jobs while the operator and runners are killed -9 every few seconds
	$(READY)
	@$(RUN) -m pytest -m soak --ignore tests/e2e $(ARGS)

outage:  ## 200 jobs while the graph store is away for 2 minutes; ARGS="--jobs 20 --seconds 30"
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/outage.py $(ARGS)

kills:  ## kill -9 of 300 runners around their write to the graph (KILLS=n for another number)
	$(READY)
	@KILLS=$${KILLS:-300} $(RUN) -m pytest tests/integration/runner/test_kills.py -s $(ARGS)

bench-start:  ## process start to a processor's first line, beside `import redis` alone
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/start.py $(ARGS)

bench-graph:  ## write 10, 1,000 and 10,000 findings beside a bare POST of the same bytes; client CPU and memory
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/graph.py $(ARGS)

bench-local:  ## claims/s and finishes/s beside a Node worker, add to start, memory of the operator
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/local.py $(ARGS)

bench-techstack:  ## 20 parallel techstack-analyze jobs before a fake NVD that counts, the operator killed twice
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/techstack.py $(ARGS)

bench-sast:  ## what sast-analyze finds, makes up and costs, beside its targets; ARGS="--only cost"
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/sast.py $(ARGS)

bench-dispatch:  ## on kind: add to KubeJob, kill to settled, bursts, requests and memory (<= 30 minutes; ARGS="--only steady")
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/bench/dispatch.py $(ARGS)

fuzz-sast:  ## pages, scripts and rules that nobody would write, for a minute; ARGS="--minutes 30"
	$(READY)
	@PYTHONPATH=tests $(RUN) tests/fuzz/sast.py $(ARGS)
