# Bare `make` lists the targets. `make demo` and `make test` do everything on a fresh Debian machine
# with Rust, a C compiler and Python 3.
SHELL := /bin/sh
CARGO ?= cargo
# Two cores have no use for sixteen units of code, each with its own copy of what several need; who edits builds by themselves what has changed.
TEST = $(CARGO) test --locked --config profile.dev.package.lipsyncd.codegen-units=4
# What helps the next build of one who edits costs a fresh one time: they run cargo themselves, or say CARGO_INCREMENTAL=1.
export CARGO_INCREMENTAL ?= 0
PYTHON ?= python3
OUT ?= out
AVATAR ?= demo
AUDIO ?= avatars/demo/sentence.wav
SOAK_SECONDS ?= 600
LIVE_SECONDS ?= 300
SOAK_VIEWERS ?= 200
VENV := .cache/venv
BIN := target/release/lipsyncd
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/lipsyncd
TENSORRT := .cache/tensorrt-rtx/complete
NVCC := .cache/nvcc/complete
NVIDIA := .cache/nvidia/complete
BUILD_PACKAGES := cmake nasm python3-venv
GPU_PACKAGES := g++ libclang-14-dev
TEST_PACKAGES := ffmpeg chromium haproxy
ONNXRUNTIME := $(CACHE)/onnxruntime-1.32.0/libonnxruntime.so.1.32.0

.PHONY: gpu-check features help packages gpu-packages test-packages fetch onnxruntime build compilers kernels demo test lint lint-gpu test-programs rust-test python-test nvidia-test tensorrt-test
.PHONY: native-test bench bench-live soak bench-avatar clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

packages: ## Install the Debian packages the build needs: cmake, nasm (libjpeg-turbo), python3-venv
	@scripts/system-packages.sh $(BUILD_PACKAGES)

onnxruntime: $(ONNXRUNTIME) ## Fetch ONNX Runtime's library from PyPI into ~/.cache/lipsyncd

$(VENV)/pip: | packages
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(ONNXRUNTIME): scripts/onnxruntime.sh scripts/onnxruntime.txt | $(VENV)/pip
	PYTHON=$(VENV)/bin/python scripts/onnxruntime.sh
	@touch $@

build: packages ## Build the release binary
	$(CARGO) build --release --locked

# The source is touched so that cargo looks for nvcc again.
$(NVCC): scripts/nvidia.sh scripts/nvcc.txt | $(VENV)/pip
	PYTHON=$(VENV)/bin/python scripts/nvidia.sh scripts/nvcc.txt $(@D)
	@touch $@ kernels/all.cu

compilers: $(NVCC)
	@scripts/system-packages.sh g++

kernels: packages compilers ## Compile the CUDA kernels for every architecture (fetches nvcc), print their registers; later builds hold them
	$(TEST) --test kernels -- --ignored --nocapture registers

demo: build onnxruntime ## Serve the demo avatar, speak to it over gRPC, leave out/demo.avi (AUDIO=my.wav)
	scripts/demo.sh $(BIN) avatars $(AVATAR) "$(AUDIO)" $(OUT)

test: test-packages compilers ## Everything: lint, Rust tests, kernels, NVIDIA's libraries, the judge from outside (CI adds `make features`)
	@$(MAKE) --no-print-directory fetch >.cache/fetch.log 2>&1 & fetching=$$!; \
	    $(MAKE) --no-print-directory lint && { wait $$fetching || { cat .cache/fetch.log >&2; exit 1; }; }
	@$(MAKE) --no-print-directory lint-gpu test-programs
	@$(MAKE) --no-print-directory python-test >.cache/judge.log 2>&1 & judging=$$!; \
	    $(MAKE) --no-print-directory rust-test kernels nvidia-test; tested=$$?; \
	    wait $$judging; judged=$$?; cat .cache/judge.log; exit $$((tested + judged))
	@$(MAKE) --no-print-directory tensorrt-test

# All at once: two of them cannot be installing at the same time.
test-packages:
	@scripts/system-packages.sh $(BUILD_PACKAGES) $(GPU_PACKAGES) $(TEST_PACKAGES)

fetch: $(ONNXRUNTIME) $(NVIDIA) $(TENSORRT) $(VENV)/requirements ## Fetch what the tests need and no Debian package holds

lint: packages ## Format, clippy and rustdoc, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib --examples

test-programs: packages onnxruntime
	$(TEST) --no-run

rust-test: test-programs ## Unit, property and integration tests
	@scripts/system-packages.sh ffmpeg g++
	@$(TEST) --test driver -- --ignored >.cache/hangs.log 2>&1 & hangs=$$!; \
	    echo "$(TEST)"; $(TEST) && { wait $$hangs || { cat .cache/hangs.log >&2; exit 1; }; }
	$(TEST) --test media_ffmpeg -- --ignored

$(VENV)/requirements: tests/python/requirements.txt | $(VENV)/pip
	$(VENV)/bin/pip install --quiet --no-compile --requirement tests/python/requirements.txt
	@cp $< $@

# The program that the Rust tests were built with, which also checks its arithmetic: a release build takes longer than all of these tests.
# `cargo build` would make another, since without the tests' own crates some of the others have fewer features.
python-test: packages onnxruntime $(VENV)/requirements ## The outside judge: librosa, OpenCV, ONNX Runtime, grpcio, Chromium
	@scripts/system-packages.sh chromium ffmpeg haproxy
	$(TEST) --no-run --test server
	LIPSYNCD_BIN=$(CURDIR)/target/debug/lipsyncd LIPSYNCD_ONNXRUNTIME=$(ONNXRUNTIME) \
	    PYTHONPYCACHEPREFIX=$(CURDIR)/.cache/pycache $(VENV)/bin/python -m pytest -q -p no:cacheprovider tests/python
	mkdir -p .cache/spliced
	LIPSYNCD_SPLICE_OUT=$(CURDIR)/.cache/spliced $(TEST) --test splice -- --ignored
	$(VENV)/bin/python tests/outside_decoders.py .cache/spliced

$(TENSORRT): scripts/nvidia.sh scripts/tensorrt-rtx.txt | $(VENV)/pip
	PYTHON=$(VENV)/bin/python scripts/nvidia.sh scripts/tensorrt-rtx.txt $(@D)
	@touch $@

gpu-packages:
	@scripts/system-packages.sh $(BUILD_PACKAGES) $(GPU_PACKAGES)

# The build script of trtx-sys tells cargo to watch a file that it writes itself, and would run once more, half a minute, for being older.
lint-gpu: gpu-packages ## Clippy and rustdoc of the TensorRT feature sets (wants libclang and a C++ compiler)
	$(CARGO) clippy --locked --workspace --all-targets --features tensorrt-rtx,nvtx -- -D warnings
	@touch -c target/debug/build/trtx-sys-*/output
	$(CARGO) clippy --locked --workspace --all-targets --features tensorrt,nvtx -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib --examples --features tensorrt-rtx

$(NVIDIA): scripts/nvidia.sh scripts/nvidia-libraries.txt | $(VENV)/pip
	PYTHON=$(VENV)/bin/python scripts/nvidia.sh scripts/nvidia-libraries.txt $(@D)
	@touch $@

nvidia-test: packages $(NVIDIA) ## Open the real NVRTC and nvJPEG, compile the kernels at run time; needs no GPU
	LIPSYNCD_NVRTC=$(CURDIR)/$(dir $(NVIDIA))lib LIPSYNCD_NVJPEG=$(CURDIR)/$(dir $(NVIDIA))lib \
	    $(TEST) --test nvidia_libraries -- --include-ignored

tensorrt-test: gpu-packages $(TENSORRT) ## Build real TensorRT-RTX plans of the demo avatar; needs no GPU
	LIPSYNCD_TENSORRT=$(CURDIR)/$(dir $(TENSORRT)) $(TEST) --config profile.dev.package.lipsyncd.opt-level=0 \
	    --features tensorrt-rtx --test engine_build

# Beside what `make test` runs and lints; unoptimised, since only the linking is new.
features: gpu-packages onnxruntime ## Link the program with every other set of features, run it on wrong libraries of TensorRT 11; needs no GPU
	$(TEST) --config profile.dev.package.lipsyncd.opt-level=0 --features tensorrt --test engine_build
	$(TEST) --config profile.dev.package.lipsyncd.opt-level=0 --features nvtx --test engine_build
	$(TEST) --config profile.dev.package.lipsyncd.opt-level=0 --no-default-features --test engine_build

gpu-check: compilers build bench-avatar ## Check a GPU: packs programs and tests into out/gpu-check, and runs them where there is a GPU
	PYTHON=$(CURDIR)/$(VENV)/bin/python scripts/gpu-pack.sh
	@if nvidia-smi >/dev/null 2>&1; then REPORT=$(OUT)/gpu-check.txt scripts/gpu-check.sh; else \
	    echo "no GPU here: copy this folder to a machine with one and run scripts/gpu-check.sh there"; fi

native-test: gpu-packages onnxruntime $(VENV)/requirements ## The native engine on full-size networks, its kernels on an emulated GPU: minutes
	$(VENV)/bin/python engines/networks/build.py --width full --seed 7 --out .cache/networks/full
	$(VENV)/bin/python engines/networks/build.py --width mobile --seed 7 --out .cache/networks/mobile
	$(VENV)/bin/python engines/networks/build.py --width tiny --batch 1-baked --seed 7 --out .cache/networks/tiny-baked
	LIPSYNCD_NETWORKS=$(CURDIR)/.cache/networks $(TEST) --test native_program --test native_kernels -- --ignored --nocapture

bench-live: build onnxruntime $(VENV)/requirements ## Live viewers beside what the networks alone allow (LIVE_SECONDS=300); wants an idle machine
	LIPSYNCD_BIN=$(CURDIR)/$(BIN) LIPSYNCD_ONNXRUNTIME=$(ONNXRUNTIME) $(VENV)/bin/python benches/live.py --seconds $(LIVE_SECONDS)

soak: packages onnxruntime ## Ten minutes of 200 viewers who come, interrupt, stall and vanish (SOAK_SECONDS=600 SOAK_VIEWERS=200)
	LIPSYNCD_SOAK_SECONDS=$(SOAK_SECONDS) LIPSYNCD_SOAK_VIEWERS=$(SOAK_VIEWERS) \
	    $(CARGO) test --locked --release --test soak -- --nocapture

bench-avatar: $(VENV)/requirements ## Make out/avatars/full: the full-size network, random weights, for benchmarks
	$(VENV)/bin/python engines/networks/standin.py --width full --out $(OUT)/avatars/full

bench: build onnxruntime $(VENV)/requirements bench-avatar ## Side-by-side figures: networks alone, lipsyncd, Python
	LIPSYNCD_BIN=$(CURDIR)/$(BIN) LIPSYNCD_ONNXRUNTIME=$(ONNXRUNTIME) $(VENV)/bin/python benches/compare.py
	LIPSYNCD_BIN=$(CURDIR)/$(BIN) $(VENV)/bin/python benches/mel_vs_librosa.py
	LIPSYNCD_BIN=$(CURDIR)/$(BIN) LIPSYNCD_ONNXRUNTIME=$(ONNXRUNTIME) $(VENV)/bin/python benches/avatar_memory.py
	LIPSYNCD_BIN=$(CURDIR)/$(BIN) LIPSYNCD_ONNXRUNTIME=$(ONNXRUNTIME) $(VENV)/bin/python benches/wire_bytes.py
	$(CARGO) bench --locked

bench-perf: build onnxruntime $(VENV)/requirements ## The processor time that is not the networks' (wants Linux perf's permissions)
	@scripts/system-packages.sh linux-perf
	LIPSYNCD_BIN=$(CURDIR)/$(BIN) LIPSYNCD_ONNXRUNTIME=$(ONNXRUNTIME) $(VENV)/bin/python benches/outside_networks.py

clean: ## Remove what make made here
	rm -rf target $(OUT) .cache
