# scene.cu: `make` builds build/scene, `make test` runs the tests, `make demo` trains System #4 on synthetic audio.
# Variables: BUILD (output folder), CXX, ARCH (-march value), SANITIZE=address,undefined.

BUILD    ?= build
ARCH     ?= native
CXX      ?= g++
CXXFLAGS ?= -O3 -g1
SANITIZE ?=

ROOMS := kernels model data train
PACKAGES := g++ make pkg-config libdnnl-dev libsndfile1-dev libsoxr-dev libcli11-dev libtomlplusplus-dev \
            nlohmann-json3-dev libfmt-dev libgtest-dev libbenchmark-dev

FLAGS := -std=c++20 -march=$(ARCH) -mprefer-vector-width=512 -fopenmp -fno-math-errno -fno-trapping-math \
         -Wall -Wextra -Werror -I. -MMD -MP $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
LIBS  := -ldnnl -lsndfile -lsoxr -lfmt

sources_of   = $(wildcard $(1)/*.cpp) $(if $(filter kernels,$(1)),$(wildcard kernels/cpu/*.cpp))
objects_of   = $(patsubst %.cpp,$(BUILD)/%.o,$(call sources_of,$(1)))
below_kernels :=
below_model   := kernels
below_data    := kernels
below_train   := model data kernels
below_tools   := train model data kernels

.PHONY: all clean
all: $(BUILD)/scene

$(BUILD)/scene: $(call objects_of,tools) $(ROOMS:%=$(BUILD)/lib%.a)
	$(CXX) $(FLAGS) $(CXXFLAGS) $(filter %.o,$^) $(patsubst %,$(BUILD)/lib%.a,$(below_tools)) $(LIBS) -o $@

# One archive per room, so that a room's tests link only what the room may enter.
define room
$(BUILD)/lib$(1).a: $(call objects_of,$(1))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room,$(r))))

# tests/<room>/*.cpp make one program per room: build/tests/<room>.
define room_tests
$(BUILD)/tests/$(1): $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/$(1)/*.cpp) tests/main.cpp) $(patsubst %,$(BUILD)/lib%.a,$(1) $(below_$(1)))
	@mkdir -p $$(@D)
	$$(CXX) $$(FLAGS) $$(CXXFLAGS) $$(filter %.o,$$^) $(patsubst %,$(BUILD)/lib%.a,$(filter $(ROOMS),$(1)) $(below_$(1))) $$(LIBS) -lgtest -o $$@
.PHONY: test-$(1)
test-$(1): $(BUILD)/tests/$(1)
	$$<
endef
$(foreach r,$(ROOMS),$(eval $(call room_tests,$(r))))

$(BUILD)/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(FLAGS) $(CXXFLAGS) -c $< -o $@

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
