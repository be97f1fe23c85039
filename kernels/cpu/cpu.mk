# kernels/cpu and the ops' cpu*.cpp are compiled once for each level in ISAS. The objects of a level become one, in which only the table of
# kernels/cpu_isa.h stays global: an inline function of a header, which every level has its own code of, is then called by
# its own level alone. No initialiser of a level runs before the level is chosen, because there is none.

LD      ?= ld
OBJCOPY ?= objcopy
NM      ?= nm
OBJDUMP ?= objdump

CPU_KERNELS    := $(patsubst %,$(BUILD)/kernels/cpu/%.o,$(ISAS))
cpu_sources    := $(sort $(wildcard kernels/cpu/*.cpp kernels/*/cpu*.cpp))
march_of        = -march=$(if $(filter native,$(1)),native,x86-64-$(1)) \
                  $(if $(x86),$(if $(filter v4 native,$(1)),-mprefer-vector-width=512))
# A unique symbol, of a static variable in an inline function, cannot be made local. clang makes none.
not_unique     := $(if $(findstring clang,$(CXX)),,-fno-gnu-unique)

define isa_rules
cpu_flags_$(1) := $$(FLAGS_OF_ALL) $$(call march_of,$(1)) $$(not_unique) -DSCENE_ISA=$(1)
$$(call precompile,kernels-$(1),kernels/precompiled.h,$$(cpu_flags_$(1)) $$(OPTIMIZE_kernels) $$(CXXFLAGS))
$$(BUILD)/isa-$(1)/%.o: %.cpp $$(compiled_with) | $$(call precompiled,kernels-$(1))
	@mkdir -p $$(@D)
	$$(call say,c++,$$< ($(1)))
	$$(Q)$$(CXX) $$(call use_precompiled,kernels-$(1)) $$(cpu_flags_$(1)) $$(OPTIMIZE_kernels) $$(CXXFLAGS) -c $$< -o $$@
$$(BUILD)/kernels/cpu/$(1).o: $$(cpu_sources:%.cpp=$$(BUILD)/isa-$(1)/%.o)
	@mkdir -p $$(@D)
	$$(call say,join,$$@)
	$$(Q)$$(LD) -r --force-group-allocation $$^ -o $$@.joined
	$$(Q)$$(if $$(SANITIZE),:,! $$(OBJDUMP) -h $$@.joined | grep -q init_array) || \
	    { echo "$$@: kernels/cpu has initialisers, which would run on every processor" >&2; exit 1; }
	$$(Q)$$(OBJCOPY) --keep-global-symbol=scene_cpu_kernels_$(1) $$@.joined $$@.local
	@rm $$@.joined
	$$(Q)test "$$$$($$(NM) --defined-only --extern-only $$@.local | wc -l)" = 1 || \
	    { echo "$$@: has other global symbols than its table" >&2; exit 1; }
	@mv $$@.local $$@
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rules,$(isa))))

$(eval $(call written_when_changed,$(BUILD)/isas,ISAS))
$(BUILD)/kernels/cpu_isa.o: $(BUILD)/isas
$(BUILD)/kernels/cpu_isa.o: FLAGS += -D'SCENE_ISAS(X)=$(foreach isa,$(ISAS),X($(isa)))'
