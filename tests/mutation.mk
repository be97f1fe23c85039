# Plants the faults of tests/mutations/*.txt and requires that the tests find them. It takes minutes, so `make test` does
# not include it. ROOM=model: one room only. The room kernels is the CUDA kernels under the emulator
# (tests/cuda_on_cpu.mk).

mutated_rooms := $(or $(ROOM),$(patsubst tests/mutations/%.txt,%,$(wildcard tests/mutations/*.txt)))
program_mutated_kernels := $(BUILD)/tests/cuda_on_cpu_races_tests
program_mutated  = $(or $(program_mutated_$(1)),$(BUILD)/tests/$(1)_tests)

# $(1): room. What the script needs to build the room's test program with one source replaced.
define mutated_host_room
PROGRAM_$(1)="$(call program_mutated,$(1))" FLAGS_$(1)="$(FLAGS) $(OPTIMIZE_$(1))" LIBS_$(1)="$(FLAGS) $(LIBS) -lgtest" \
OBJECTS_$(1)="$(patsubst %.cpp,$(BUILD)/%.o,$(filter-out $(tests_left_out),$(wildcard tests/$(1)/*.cpp tests/$(1)/*/*.cpp)) tests/main.cpp) $(call archives_of,$(1))"
endef
define mutated_kernels
PROGRAM_kernels="$(program_mutated_kernels)" FLAGS_kernels="$(emulated_flags) -fsanitize=thread" \
LIBS_kernels="$(emulated_libs)" OBJECTS_kernels="$(objects_of_races)"
endef
mutated_room = $(if $(filter kernels,$(1)),$(mutated_kernels),$(mutated_host_room))

.PHONY: mutation-test
mutation-test: $(foreach room,$(mutated_rooms),$(call program_mutated,$(room)))
	@CXX="$(CXX)" OUT=$(BUILD)/mutants JOBS=$(JOBS) $(foreach room,$(mutated_rooms),$(call mutated_room,$(room))) \
	    tests/mutate.sh $(mutated_rooms)
