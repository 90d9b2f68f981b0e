# sqlite-recommend: `make help` lists what there is to do.

BUILD   ?= build
CC      ?= cc
CFLAGS  ?= -O3
PREFIX  ?= /usr/local
VERSION := $(shell sed -n 's/.*RECOMMEND_VERSION "\(.*\)"/\1/p' ext/base/version.h)
SYSTEM  := $(shell uname -s)
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
JOBS    := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# A directory with the data sets that some tests and benchmarks read; those are skipped where it is missing.
DATA_DIR ?= ../shared/data
# 0 leaves the pass of the C tests under ASan and UBSan out of `make test`.
SANITIZE ?= 1

# ---- where the libraries are ---------------------------------------------------------------------------------------

ifeq ($(SYSTEM),Darwin)
  SHARED    := $(BUILD)/recommend.dylib
  BREW      := $(shell brew --prefix 2>/dev/null)
  INCLUDES  := -I$(BREW)/opt/openblas/include -I$(BREW)/opt/sqlite/include -I$(BREW)/opt/cjson/include
  OPENBLAS  := $(BREW)/opt/openblas/lib/libopenblas.a
  LIBRARIES := -L$(BREW)/opt/cjson/lib -lcjson
  SQLITE    := $(BREW)/opt/sqlite/bin/sqlite3
  SQLITE_LIBRARY := -L$(BREW)/opt/sqlite/lib -lsqlite3
  CMOCKA    := -I$(BREW)/opt/cmocka/include -L$(BREW)/opt/cmocka/lib -lcmocka
  LINK      := -dynamiclib -Wl,-exported_symbol,_sqlite3_recommend_init
else
  SHARED    := $(BUILD)/recommend.so
  TRIPLET   := $(or $(shell $(CC) -print-multiarch 2>/dev/null),$(shell gcc -print-multiarch 2>/dev/null))
  # The single-threaded build where there is one: the threads are ours (base/parallel.h).
  OPENBLAS  := $(firstword $(wildcard $(addsuffix /libopenblas.a,/usr/lib/$(TRIPLET)/openblas-serial \
                 /usr/lib/$(TRIPLET)/openblas-pthread /usr/lib/$(TRIPLET) /usr/lib64 /usr/lib)))
  INCLUDES  := -I/usr/include/$(TRIPLET)/$(notdir $(OPENBLAS:/libopenblas.a=)) -I/usr/include/openblas
  LIBRARIES := -lcjson -lpthread -lm
  SQLITE    := sqlite3
  SQLITE_LIBRARY := -lsqlite3
  CMOCKA    := -lcmocka
  LINK      := -shared -Wl,--exclude-libs,ALL -Wl,-z,relro,-z,now
  # Never unmapped: see pin_library() in ext/recommend.c.
  LINK += -Wl,-z,nodelete
  # Clang leaves a sanitizer's functions to the program that loads the library.
  ifeq ($(findstring -fsanitize,$(CFLAGS)),)
    LINK += -Wl,--no-undefined
  endif
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wconversion \
            -Wno-sign-conversion -Werror
FLAGS    := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(INCLUDES) $(CFLAGS)

# ---- the extension -------------------------------------------------------------------------------------------------

# Compiled once for each instruction set: see ext/base/simd.h.
KERNELS := $(wildcard ext/*/*_kernels.c ext/*/*/*_kernels.c)
SOURCES := $(filter-out $(KERNELS),$(wildcard ext/*.c ext/*/*.c ext/*/*/*.c))

KERNEL_FLAGS := -ffp-contract=fast -fno-math-errno -Wno-psabi
ifneq ($(filter x86_64%,$(MACHINE)),)
  LEVELS := generic avx2 avx512
else
  LEVELS := generic
endif
FLAGS_generic :=
FLAGS_avx2    := -mavx2 -mfma -mf16c
FLAGS_avx512  := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512

# Twice: obj/ for the extension, which reaches SQLite through the table of functions it is handed; core/ for programs
# that link it and SQLite together, as the C tests do. What calls neither is compiled once: the kernels, and the rooms
# that see no header of SQLite. Asserts hold in the tests' programs only: who loads the extension is never aborted.
ONCE := $(filter ext/learn/% ext/score/%,$(SOURCES))
KERNEL_OBJECTS := $(foreach level,$(LEVELS),$(KERNELS:ext/%.c=$(BUILD)/kernels/%.$(level).o))
OBJECTS := $(patsubst ext/%.c,$(BUILD)/obj/%.o,$(filter-out $(ONCE),$(SOURCES))) $(ONCE:ext/%.c=$(BUILD)/core/%.o) \
           $(KERNEL_OBJECTS)
CORE    := $(SOURCES:ext/%.c=$(BUILD)/core/%.o) $(KERNEL_OBJECTS)
.SECONDARY: $(OBJECTS) $(CORE)

.PHONY: all
all: $(SHARED) ## build/recommend.so (.dylib on macOS); the default

$(SHARED): $(OBJECTS)
	$(CC) $(LINK) $(CFLAGS) -o $@ $^ $(OPENBLAS) $(LIBRARIES)

.PHONY: static
static: $(BUILD)/librecommend.a ## build/librecommend.a, to be linked with OpenBLAS, cJSON and SQLite into a program

$(BUILD)/librecommend.a: $(CORE)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/obj/%.o: ext/%.c | ready
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DNDEBUG -MMD -MP -c -o $@ $<

$(BUILD)/core/%.o: ext/%.c | ready
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DSQLITE_CORE -MMD -MP -c -o $@ $<

define kernel_rule
$(BUILD)/kernels/%.$(1).o: ext/%.c | ready
	@mkdir -p $$(@D)
	$$(CC) $$(FLAGS) $$(KERNEL_FLAGS) $$(FLAGS_$(1)) -DSIMD_LEVEL=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach level,$(LEVELS),$(eval $(call kernel_rule,$(level))))

# Says what to do where something is missing, before the compiler complains of a header.
.PHONY: ready
ready:
	@test -f "$(OPENBLAS)" && printf '#include <cblas.h>\n#include <cjson/cJSON.h>\n#include <sqlite3ext.h>\n' | \
	  $(CC) $(INCLUDES) -E - >/dev/null 2>&1 || { echo "A compiler, or the headers of SQLite (3.38 or newer), OpenBLAS" \
	  "(with libopenblas.a) or cJSON are missing: \`make setup\` installs them." >&2; exit 1; }

# ---- set-up --------------------------------------------------------------------------------------------------------

COMPILER := $(if $(findstring clang,$(CC)),clang)

.PHONY: setup
setup: ## install the packages the build needs (apt-get or brew; only those that are missing)
	@sh tests/install.sh build $(COMPILER)

# ---- the demo ------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## a made-up film catalogue, or DATA=path/to/ml-latest-small: train, recommend, evaluate
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@rm -f $(BUILD)/demo.db
ifdef DATA
	@$(SQLITE) -bail -cmd ".cd '$(DATA)'" "$(abspath $(BUILD))/demo.db" < sql/import_movielens.sql
else
	@$(SQLITE) -bail $(BUILD)/demo.db < sql/demo.sql
endif
	@sed 's|^\.load build/|.load $(BUILD)/|' examples/quickstart.sql | $(SQLITE) -bail $(BUILD)/demo.db

# ---- tests ---------------------------------------------------------------------------------------------------------

# Programs linked with the static library and SQLite, one a file.
PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c tests/fault/test_*.c))
SCRIPTS  := $(wildcard tests/sql/test_*.py)
FUZZERS  := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
BENCHES  := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

define link_program
@mkdir -p $(@D)
$(CC) $(FLAGS) -DSQLITE_CORE -I. -Iext -Itests/unit -MMD -MP -MF $@.d $(PROGRAM_FLAGS) -o $@ $< $(BUILD)/librecommend.a $(OPENBLAS) \
  $(LIBRARIES) $(SQLITE_LIBRARY) $(PROGRAM_LIBRARIES)
endef
$(PROGRAMS): PROGRAM_LIBRARIES := $(CMOCKA)
$(BUILD)/tests/%: tests/%.c $(BUILD)/librecommend.a | ready
	$(link_program)
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/librecommend.a | ready
	$(link_program)
$(FUZZERS): PROGRAM_FLAGS := -fsanitize=fuzzer
$(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/librecommend.a | ready
	$(link_program)

# This one is linked with SQLite alone, and loads the extension as users do.
$(BUILD)/tests/fault/test_loading: tests/fault/test_loading.c $(SHARED) | ready
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DRECOMMEND_LIBRARY='"$(abspath $(basename $(SHARED)))"' -I. -Iext -Itests/unit -MMD -MP -MF $@.d \
	  -o $@ $< $(SQLITE_LIBRARY) $(PROGRAM_LIBRARIES)

.PHONY: programs benches fuzzers
programs: $(PROGRAMS)
benches: $(BENCHES)
fuzzers: $(FUZZERS)

# A Python whose sqlite3 can load extensions: Debian's and Homebrew's can, Apple's can't.
PYTHON = $(shell for p in /usr/bin/python3 "$(BREW)/bin/python3" python3; do \
  "$$p" -c 'import sqlite3; sqlite3.connect(":memory:").enable_load_extension(True)' 2>/dev/null && echo "$$p" && break; done)

ASAN      := -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow
TSAN      := -O1 -g1 -fno-omit-frame-pointer -fsanitize=thread
ASAN_RUN  := --no-print-directory BUILD=$(BUILD)/asan CFLAGS='$(ASAN)'
SANITIZED := $(if $(filter 1,$(SANITIZE)),$(PROGRAMS:$(BUILD)/%=$(BUILD)/asan/%))

.PHONY: test run
test: ## all tests: C (also under ASan and UBSan, unless SANITIZE=0), faults, Python; sets up what they need
	@sh tests/install.sh build test $(COMPILER)
	@$(MAKE) --no-print-directory run

# What is not built is a failed test, not the end of the run.
run:
	-@$(MAKE) --no-print-directory -s -k -j$(JOBS) all programs
	-@$(if $(SANITIZED),$(MAKE) $(ASAN_RUN) -s -k -j$(JOBS) programs)
	@RECOMMEND_SQLITE='$(SQLITE)' RECOMMEND_EXTENSION='$(abspath $(basename $(SHARED)))' \
	  RECOMMEND_DATA='$(abspath $(wildcard $(DATA_DIR)))' $(PYTHON) -B tests/run.py $(if $(PRELOAD),--preload $(PRELOAD)) \
	  $(PROGRAMS) $(SANITIZED) $(SCRIPTS)

.PHONY: asan tsan coverage
asan: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@sh tests/install.sh build test $(COMPILER)
	@$(MAKE) $(ASAN_RUN) SANITIZE=0 PRELOAD='$(call sanitizer_library,asan)' run

tsan: ## all tests under ThreadSanitizer
	@sh tests/install.sh build test $(COMPILER)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS='$(TSAN)' SANITIZE=0 \
	  $(if $(COMPILER),SCRIPTS=,PRELOAD='$(call sanitizer_library,tsan)') run

# Python is not built with the sanitizer, so the sanitizer's library has to be there first. (Clang's for threads can't.)
sanitizer_library = $(shell $(CC) -print-file-name=$(if $(COMPILER),libclang_rt.$(1)-$(shell uname -m).so,lib$(1).so))

coverage: ## coverage of ext/ by all tests, by lines and branches; fails below 90 % of the lines
	@sh tests/install.sh build test coverage $(COMPILER)
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || true
	-@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CFLAGS='-O1 -g --coverage -fprofile-update=atomic' SANITIZE=0 run
	@gcovr --root . --filter ext/ --sort-uncovered --fail-under-line 90 --print-summary $(BUILD)/coverage

# ---- fuzzing -------------------------------------------------------------------------------------------------------

# Clang's libFuzzer, ASan and UBSan; Homebrew's clang on macOS, since Apple's has no libFuzzer.
FUZZ_CC    ?= $(firstword $(wildcard $(BREW)/opt/llvm/bin/clang) clang)
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,float-cast-overflow,fuzzer-no-link
SECONDS    ?= 60

.PHONY: fuzz
fuzz: ## libFuzzer on files, SQL and options, SECONDS=60 each; new inputs stay in build/fuzz
	@sh tests/install.sh build clang
	@$(MAKE) --no-print-directory -s -j$(JOBS) BUILD=$(BUILD)/fuzz CC='$(FUZZ_CC)' CFLAGS='$(FUZZ_FLAGS)' fuzzers
	@sh tests/fuzz/fuzz.sh $(BUILD)/fuzz/fuzz $(SECONDS)

# ---- benchmarks ----------------------------------------------------------------------------------------------------

# The peers at their best: what has loops of its own in C is compiled for this machine, LIBMF with its AVX and OpenMP code,
# which its own set-up leaves out. $(BUILD)/peers/flags keeps what was built how.
PEER_FLAGS  := -O3 -march=native
LIBMF_FLAGS := $(PEER_FLAGS) $(if $(filter x86_64%,$(MACHINE)),-DUSEAVX) -DUSEOMP -fopenmp

.PHONY: bench
bench: ## how fast it is, each figure beside its floor; PEERS=1 adds other libraries, BENCH_SIZE=25m more data
	@sh tests/install.sh build test $(if $(PEERS),peers) $(COMPILER)
	@$(MAKE) --no-print-directory -s -j$(JOBS) all benches
ifdef PEERS
	@test -e $(BUILD)/peers/ready || { $(PYTHON) -m venv $(BUILD)/peers && \
	  $(BUILD)/peers/bin/pip install --quiet implicit scikit-learn && \
	  CFLAGS='$(PEER_FLAGS)' $(BUILD)/peers/bin/pip install --quiet --no-binary cmfrec cmfrec && \
	  CFLAGS='$(LIBMF_FLAGS)' LDFLAGS=-fopenmp $(BUILD)/peers/bin/pip install --quiet --no-binary libmf libmf && \
	  echo 'cmfrec $(PEER_FLAGS); LIBMF $(LIBMF_FLAGS); implicit and scikit-learn as on PyPI' > $(BUILD)/peers/flags && \
	  touch $(BUILD)/peers/ready; }
endif
	@RECOMMEND_DATA='$(abspath $(wildcard $(DATA_DIR)))' $(if $(PEERS),$(BUILD)/peers/bin/python,$(PYTHON)) \
	  tests/bench/bench.py --extension $(abspath $(basename $(SHARED))) --build $(abspath $(BUILD)) $(if $(PEERS),--peers)

# ---- care ----------------------------------------------------------------------------------------------------------

C_FILES = $(wildcard ext/*.[ch] ext/*/*.[ch] ext/*/*/*.[ch] tests/*/*.[ch])

# Of PyPI, since Debian has none: in this version, so that it finds tomorrow what it finds today.
RUFF_VERSION := 0.4.10
RUFF := $(BUILD)/ruff-$(RUFF_VERSION)/bin/ruff
$(RUFF):
	@sh tests/install.sh lint
	@$(PYTHON) -m venv $(BUILD)/ruff-$(RUFF_VERSION)
	@$(BUILD)/ruff-$(RUFF_VERSION)/bin/pip install --quiet --disable-pip-version-check ruff==$(RUFF_VERSION)

.PHONY: lint format install clean help
lint: $(RUFF) ## clang-format, cppcheck, clang-tidy and ruff, as errors
	@sh tests/install.sh build lint
	@$(RUFF) check --quiet --no-cache tests
	@clang-format --dry-run -Werror $(C_FILES)
	@cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 -j$(JOBS) \
	  --suppress=missingInclude --suppress=unknownMacro -DSIMD_LEVEL=generic -DSQLITE_CORE -Iext ext
	@printf '%s\n' $(SOURCES) $(KERNELS) | xargs -n 1 -P $(JOBS) sh -c 'clang-tidy --quiet --warnings-as-errors="*" \
	  --checks="$(TIDY)" "$$0" -- $(filter-out -Werror,$(FLAGS)) -DSIMD_LEVEL=generic 2>/dev/null'

# Left out: what C has no other way for (memcpy_s, void pointers), and matters of taste that .clang-format settles.
TIDY := -*,bugprone-*,clang-analyzer-*,performance-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-macro-parentheses,-bugprone-narrowing-conversions,-bugprone-sizeof-expression,-bugprone-implicit-widening-of-multiplication-result,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-performance-no-int-to-ptr

format: ## lay the C files out as .clang-format says
	clang-format -i $(C_FILES)

install: all ## the extension to PREFIX/lib, its header to PREFIX/include (PREFIX=/usr/local, DESTDIR)
	install -d "$(DESTDIR)$(PREFIX)/lib" "$(DESTDIR)$(PREFIX)/include"
	install -m 755 $(SHARED) "$(DESTDIR)$(PREFIX)/lib/"
	install -m 644 ext/recommend.h "$(DESTDIR)$(PREFIX)/include/"
	@echo "In sqlite3: .load $(PREFIX)/lib/recommend"

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@echo "sqlite-recommend $(VERSION)"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

-include $(OBJECTS:.o=.d) $(CORE:.o=.d) $(PROGRAMS:%=%.d) $(BENCHES:%=%.d) $(FUZZERS:%=%.d)
