# The front door: Meson does the work (meson.build), in build/.
BUILD ?= build
T ?= 60
# Debian's own: the one that sees python3-pil and python3-hypothesis.
PYTHON ?= /usr/bin/python3

.PHONY: all deps demo check fuzz bench soak format help clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@packaging/deps build
	@meson setup $(BUILD) --buildtype=release >/dev/null || { cat $(BUILD)/meson-logs/meson-log.txt; exit 1; }

demo:
	@packaging/deps demo
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/demo/demo.py --build $(BUILD)

check:
	@packaging/deps check
	@$(PYTHON) tests/check/check.py

fuzz:
	@packaging/deps check
	@$(PYTHON) tests/check/fuzz.py --seconds $(T)

bench:
	@packaging/deps demo
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/bench/bench.py --build $(BUILD)

soak:
	@packaging/deps demo
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/check/soak.py --build $(BUILD)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-19 -i

clean:
	@rm -rf $(BUILD) build-*

help:
	@echo "make            builds everything into $(BUILD)/"
	@echo "make demo       a picture from a Redox-style client to the monitor of a Linux VM: build/demo.png"
	@echo "make check      all tests, with gcc and clang; ends with 'N passed, N failed'"
	@echo "make fuzz T=60  each fuzzer for T seconds"
	@echo "make bench      the figures of docs/performance.md, with their peers in the same run"
	@echo "make soak       long runs: hundreds of restarts"
	@echo "make format     clang-format on every file"
	@echo "make clean      removes the build folders (cache/ keeps downloads and guest images)"
