# flowpair: one Makefile.  `make help` lists the targets.
#
# VARIANT picks flags and its own build folder: release (default), debug, asan, tsan, fuzz.

VERSION  := 0.1.0
VARIANT  ?= release
PREFIX   ?= /usr/local
DESTDIR  ?=
B        := build/$(VARIANT)

PACKAGES := libpcap libfixbuf openssl yaml-0.1 sqlite3 libxxhash zlib libzstd
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	    -Wcast-align -Wwrite-strings -Wvla -Wformat=2 -Wundef
ifdef CI
WARN     += -Werror
endif
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CPPFLAGS += -D_GNU_SOURCE -DFLOWPAIR_VERSION='"$(VERSION)"' -DFLOWPAIR_PREFIX='"$(PREFIX)"' -I.
# hidden: a function of ours never stands in for a library's own of the same name
BASE     := -std=gnu17 -g $(WARN) -MMD -MP -pthread -fvisibility=hidden
LDBASE   := -pthread -pie -Wl,-z,relro,-z,now

CFLAGS.release  := -O2 -flto=auto -ffat-lto-objects -fno-semantic-interposition $(HARDEN)
LDFLAGS.release := -O2 -flto=auto
CFLAGS.debug    := -O0 -fPIE
CFLAGS.asan     := -O1 -g1 -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS.asan    := -fsanitize=address,undefined
CFLAGS.tsan     := -O1 -g1 -fPIE -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS.tsan    := -fsanitize=thread
CFLAGS.fuzz     := -O1 -g1 -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined
LDFLAGS.fuzz    := -fsanitize=address,undefined
ifeq ($(VARIANT),fuzz)
CC       := clang
endif
ifeq ($(origin CC),default)
CC       := gcc
endif
ifeq ($(VARIANT),release)
AR       := gcc-ar
endif

# SCTP in user space, in UDP packets; only where the library is (make USRSCTP= builds without it)
USRSCTP  := $(shell pkg-config --exists usrsctp 2>/dev/null && echo -lusrsctp)
ifneq ($(USRSCTP),)
CPPFLAGS += -DFLOWPAIR_USRSCTP
endif

PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
ALL_CFLAGS  = $(BASE) $(CFLAGS.$(VARIANT)) $(CFLAGS) $(PKG_CFLAGS)
ALL_LDFLAGS = $(LDBASE) $(LDFLAGS.$(VARIANT)) $(LDFLAGS)
LIBS       := $(PKG_LIBS) -lsctp $(USRSCTP) -lm

PROGRAMS  := flowpair-exporter flowpair-collector flowpair-query
# A room is a folder; every source in it belongs to it.
COMMON    := $(filter-out $(if $(USRSCTP),,common/sctp_user/%),$(wildcard common/*/*.c))
EXPORTER  := $(wildcard exporter/*/*.c)
COLLECTOR := $(filter-out collector/query/%,$(wildcard collector/*/*.c))
QUERY     := $(filter-out collector/query/main.c,$(wildcard collector/query/*.c))
UNIT      := $(filter-out $(if $(USRSCTP),,tests/unit/common/sctp_user/%),$(sort $(wildcard tests/unit/*/*/*_test.c tests/property/*_test.c)))
FUZZ      := $(wildcard tests/fuzz/*_fuzz.c)
BENCH     := $(wildcard tests/bench/*.c)
# Helpers that several tests share
SUPPORT   := $(wildcard tests/unit/*/*/support_*.c)

obj = $(patsubst %.c,$(B)/%.o,$(1))
A_COMMON    := $(B)/libcommon.a
A_EXPORTER  := $(B)/libexporter.a
A_COLLECTOR := $(B)/libcollector.a
A_QUERY     := $(B)/libquery.a
UNIT_BIN    := $(patsubst %.c,$(B)/%,$(UNIT))
BENCH_BIN   := $(patsubst %.c,$(B)/%,$(BENCH))
FUZZ_BIN    := $(patsubst %.c,build/fuzz/%,$(FUZZ))

.PHONY: FORCE objects all help check test fuzz fuzz-build bench golden layers fmt fmt-check man install uninstall clean
all: $(addprefix $(B)/,$(PROGRAMS))

help:
	@echo 'make [all]                    build the programs into build/release'
	@echo 'make check [T=base/cursor]  build and run the unit and property tests'
	@echo 'make test                     everything: unit, integration, goldens, sanitizers (tests/run)'
	@echo 'make fuzz [SECONDS=60] [T=x]  run each fuzzer (clang, ASan, UBSan)'
	@echo 'make bench                    compare with peers and floors (tests/bench/run)'
	@echo 'make golden                   rewrite the golden files from what the programs say now'
	@echo 'make layers                   check which room uses which'
	@echo 'make fmt, make fmt-check      clang-format every source; only say what it would change'
	@echo 'make man                      write the manual pages into build/man'
	@echo 'make install [DESTDIR= PREFIX=/usr/local]   (make uninstall takes it away again)'
	@echo 'make clean                    remove everything that was built'
	@echo 'VARIANT=release|debug|asan|tsan|fuzz   picks the build'

objects: $(call obj,$(COMMON) $(EXPORTER) $(COLLECTOR) $(QUERY) exporter/main.c collector/main.c collector/query/main.c)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

FORCE:
# Where the schemas are installed is compiled in: built again for another PREFIX.
$(B)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@
$(B)/common/config/datadir.o: $(B)/prefix

# The text of a manual, PROGRAM.1.in, is compiled into its program, which puts its table of
# options in (--print-manual).
vpath flowpair-%.1.in exporter collector collector/query
$(B)/manual/%.o: %.1.in common/sctp/sctp.1.in Makefile
	@mkdir -p $(@D)
	{ echo 'const char $(subst -,_,$*)_manual[] = {'; \
	sed -e '/^@SCTP@$$/r common/sctp/sctp.1.in' -e '/^@SCTP@$$/d' $< | \
	od -An -v -tu1 -w16 | sed 's/\([0-9]\) *\( \|$$\)/\1, /g'; echo '0};'; } > $(@:.o=.c)
	$(CC) $(ALL_CFLAGS) -c -o $@ $(@:.o=.c)

$(A_COMMON): $(call obj,$(COMMON))
$(A_EXPORTER): $(call obj,$(EXPORTER)) $(B)/manual/flowpair-exporter.o
$(A_COLLECTOR): $(call obj,$(COLLECTOR)) $(B)/manual/flowpair-collector.o
$(A_QUERY): $(call obj,$(QUERY)) $(B)/manual/flowpair-query.o
%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/flowpair-exporter: $(B)/exporter/main.o $(A_EXPORTER) $(A_COMMON)
$(B)/flowpair-collector: $(B)/collector/main.o $(A_COLLECTOR) $(A_COMMON)
$(B)/flowpair-query: $(B)/collector/query/main.o $(A_QUERY) $(A_COMMON)
$(addprefix $(B)/,$(PROGRAMS)):
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Linked without whole-program optimisation: some hundred links of the same objects.  Tests of
# the collector look into its library first: both programs have an options_parse(), for example.
$(UNIT_BIN): %: %.o $(call obj,$(SUPPORT)) $(A_EXPORTER) $(A_COLLECTOR) $(A_QUERY) $(A_COMMON)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fno-lto -o $@ $(filter %.o,$^) \
	    $(if $(findstring /unit/collector/,$@),$(A_COLLECTOR) $(A_QUERY)) \
	    $(filter %.a,$^) $(LIBS) -lcmocka
.SECONDARY: $(patsubst %,%.o,$(UNIT_BIN)) $(call obj,$(SUPPORT))

T ?=
check: $(if $(T),$(filter $(B)/tests/%/$(T)_test $(B)/tests/$(T)_test,$(UNIT_BIN)),$(UNIT_BIN))
	@tests/unit/run $^

test:
	tests/run

SECONDS ?= 60
ifneq ($(VARIANT),fuzz)
fuzz-build:
	$(MAKE) VARIANT=fuzz fuzz-build
else
fuzz-build: $(FUZZ_BIN)
endif
fuzz: fuzz-build
	tests/fuzz/run $(SECONDS) $(T)
build/fuzz/tests/fuzz/%_fuzz: build/fuzz/tests/fuzz/%_fuzz.o \
    $(call obj,tests/unit/common/tls/support_certificates.c) $(A_EXPORTER) $(A_COLLECTOR) $(A_QUERY) $(A_COMMON)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

bench: all $(BENCH_BIN)
	tests/bench/run
$(BENCH_BIN): %: %.o $(A_EXPORTER) $(A_COLLECTOR) $(A_QUERY) $(A_COMMON)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

golden: all
	tests/golden/run --update

layers: objects
	@tests/layers $(B)

fmt:
	git ls-files '*.c' '*.h' | xargs clang-format -i
fmt-check:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

man: all
	@mkdir -p build/man
	@for p in $(PROGRAMS); do $(B)/$$p --print-manual > build/man/$$p.1 || exit 1; done
	@cp schemas/flowpair-schema.5 build/man/

install: all man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/flowpair/tables \
	    $(DESTDIR)$(PREFIX)/share/flowpair/records $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 755 $(addprefix $(B)/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	install -m 644 schemas/elements.xml schemas/templates.yaml $(DESTDIR)$(PREFIX)/share/flowpair
	install -m 644 schemas/tables/*.yaml $(DESTDIR)$(PREFIX)/share/flowpair/tables
	install -m 644 schemas/records/*.yaml $(DESTDIR)$(PREFIX)/share/flowpair/records
	install -m 644 build/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 build/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(PROGRAMS))
	rm -rf $(DESTDIR)$(PREFIX)/share/flowpair
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/flowpair-*.1 $(DESTDIR)$(PREFIX)/share/man/man5/flowpair-schema.5

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
