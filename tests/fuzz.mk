# tests/fuzz/*_fuzz.cpp: one program each. They and the parsers that they test are under AddressSanitizer and UBSan.

FUZZERS := $(patsubst tests/fuzz/%.cpp,$(BUILD)/tests/%,$(wildcard tests/fuzz/*_fuzz.cpp))

# Sources that use nlohmann's JSON are one unit, because its header takes longer to compile than they do.
fuzzed_json := kernels/files/safetensors.cpp data/splits/splits.cpp data/store/prepare_journal.cpp data/store/feature_store.cpp \
               model/checkpoint_info.cpp train/run/history.cpp
fuzzed      := $(filter-out $(fuzzed_json),$(wildcard data/formats/*.cpp)) data/file_bytes.cpp data/audio/audio_files.cpp \
               data/audio/audio_container.cpp data/audio/mpeg_audio.cpp data/splits/grouped_splits.cpp data/splits/official_split.cpp \
               kernels/files/atomic_file.cpp kernels/files/crc32c.cpp kernels/files/json.cpp kernels/cuda/autotune/plan_cache.cpp tests/fuzz/fuzz.cpp
sanitized   := $(BUILD)/sanitized
sanitizers  := -O0 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize     = $(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(sanitizers) -c $< -o $@

$(sanitized)/%.o: %.cpp $(compiled_with)
	@mkdir -p $(@D)
	$(call say,c++,$< (sanitized))
	$(sanitize)
# The library itself: with all sanitizers it would take longer to compile than everything else here.
$(sanitized)/kernels/files/json.o: sanitizers := -O0 -fsanitize=address
$(sanitized)/users_of_json.cpp: tests/fuzz.mk
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $(fuzzed_json) > $@
$(sanitized)/users_of_json.o: $(sanitized)/users_of_json.cpp $(compiled_with)
	$(call say,c++,$(fuzzed_json) (sanitized))
	$(sanitize)

$(sanitized)/libfuzzed.a: $(fuzzed:%.cpp=$(sanitized)/%.o) $(sanitized)/users_of_json.o
	$(call say,ar,$@)
	@rm -f $@
	$(Q)ar qcs $@ $^
# libmodel.a has the table of networks, which the reader of checkpoints needs. It parses nothing, so it is not instrumented.
$(FUZZERS): $(BUILD)/tests/%: $(sanitized)/tests/fuzz/%.o $(sanitized)/libfuzzed.a $(BUILD)/libmodel.a $(BUILD)/libkernels.a
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $(sanitizers) -fopenmp $^ -lsndfile -lfmt -o $@

.PHONY: fuzz
fuzz: export FUZZ_INPUTS ?= 200000
fuzz: $(FUZZERS)
	@for program in $^; do echo "== $$program"; $$program || exit 1; done
