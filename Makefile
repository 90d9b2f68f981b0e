# sqlite-recommend: `make help` lists what there is to do.

BUILD   ?= build
CC      ?= cc
CFLAGS  ?= -O3
VERSION := $(shell sed -n 's/.*RECOMMEND_VERSION "\(.*\)"/\1/p' ext/recommend.h)
SYSTEM  := $(shell uname -s)
MACHINE := $(shell $(CC) -dumpmachine)

# ---- where the libraries are ---------------------------------------------------------------------------------------

ifeq ($(SYSTEM),Darwin)
  SHARED    := $(BUILD)/recommend.dylib
  BREW      := $(shell brew --prefix 2>/dev/null)
  INCLUDES  := -I$(BREW)/opt/openblas/include -I$(BREW)/opt/sqlite/include -I$(BREW)/opt/cjson/include
  OPENBLAS  := $(BREW)/opt/openblas/lib/libopenblas.a
  LIBRARIES := -L$(BREW)/opt/cjson/lib -lcjson
  SQLITE_LIBRARY := -L$(BREW)/opt/sqlite/lib -lsqlite3
  LINK      := -dynamiclib -Wl,-exported_symbol,_sqlite3_recommend_init
else
  SHARED    := $(BUILD)/recommend.so
  TRIPLET   := $(shell $(CC) -print-multiarch 2>/dev/null || gcc -print-multiarch)
  INCLUDES  := -I/usr/include/$(TRIPLET)/openblas-serial
  OPENBLAS  := /usr/lib/$(TRIPLET)/openblas-serial/libopenblas.a
  LIBRARIES := -lcjson -lpthread -lm
  SQLITE_LIBRARY := -lsqlite3
  LINK      := -shared -Wl,--exclude-libs,ALL -Wl,--no-undefined -Wl,-z,relro,-z,now
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wconversion \
            -Wno-sign-conversion -Werror
FLAGS    := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(INCLUDES) $(CFLAGS)

# ---- sources -------------------------------------------------------------------------------------------------------

# Compiled once for each instruction set: see ext/base/simd.h.
KERNELS := $(wildcard ext/base/*_kernels.c)
SOURCES := $(filter-out $(KERNELS),$(wildcard ext/*.c ext/*/*.c))

KERNEL_FLAGS := -ffp-contract=fast -fno-math-errno -Wno-psabi
ifneq ($(filter x86_64%,$(MACHINE)),)
  LEVELS := generic avx2 avx512
else
  LEVELS := generic
endif
FLAGS_generic :=
FLAGS_avx2    := -mavx2 -mfma -mf16c
FLAGS_avx512  := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512

OBJECTS := $(SOURCES:ext/%.c=$(BUILD)/obj/%.o) $(foreach l,$(LEVELS),$(KERNELS:ext/%.c=$(BUILD)/obj/%.$(l).o))

.PHONY: all
all: $(SHARED)

$(SHARED): $(OBJECTS)
	$(CC) $(LINK) $(CFLAGS) -o $@ $^ $(OPENBLAS) $(LIBRARIES)

$(BUILD)/obj/%.o: ext/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -MMD -MP -c -o $@ $<

define kernel_rule
$(BUILD)/obj/%.$(1).o: ext/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(FLAGS) $$(KERNEL_FLAGS) $$(FLAGS_$(1)) -DSIMD_LEVEL=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(LEVELS),$(eval $(call kernel_rule,$(l))))

-include $(OBJECTS:.o=.d)
