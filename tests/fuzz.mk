# tests/fuzz/*_fuzz.cpp: one program each, with the parsers that they feed, under AddressSanitizer and UBSan.

FUZZERS := $(patsubst tests/fuzz/%.cpp,$(BUILD)/tests/%,$(wildcard tests/fuzz/*_fuzz.cpp))

# Sources that use nlohmann's JSON, which takes longer to parse than they do, are one unit.
fuzzed_json := kernels/safetensors.cpp data/splits.cpp data/prepare_journal.cpp data/feature_store.cpp \
               model/checkpoint_info.cpp train/history.cpp
fuzzed      := $(addprefix data/,text_encoding.cpp csv.cpp dataset.cpp dataset_format.cpp cas2023.cpp esc50.cpp tau.cpp \
               table.cpp table_columns.cpp folder.cpp audio_files.cpp audio_finder.cpp audio_container.cpp file_bytes.cpp \
               mpeg_audio.cpp grouped_splits.cpp official_split.cpp record_time.cpp) \
               kernels/atomic_file.cpp kernels/crc32c.cpp kernels/json.cpp kernels/cuda/plan_cache.cpp tests/fuzz/fuzz.cpp
sanitized   := $(BUILD)/sanitized
sanitizers  := -O0 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize     = $(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(sanitizers) -c $< -o $@

$(sanitized)/%.o: %.cpp $(compiled_with)
	@mkdir -p $(@D)
	$(call say,c++,$< (sanitized))
	$(sanitize)
# The library itself: with all sanitizers it would take longer to compile than everything else here.
$(sanitized)/kernels/json.o: sanitizers := -O0 -fsanitize=address
$(sanitized)/users_of_json.cpp: tests/fuzz.mk
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $(fuzzed_json) > $@
$(sanitized)/users_of_json.o: $(sanitized)/users_of_json.cpp $(compiled_with)
	$(call say,c++,$(fuzzed_json) (sanitized))
	$(sanitize)

$(sanitized)/libfuzzed.a: $(fuzzed:%.cpp=$(sanitized)/%.o) $(sanitized)/users_of_json.o
	$(call say,ar,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(FUZZERS): $(BUILD)/tests/%: $(sanitized)/tests/fuzz/%.o $(sanitized)/libfuzzed.a
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $(sanitizers) -fopenmp $^ -lsndfile -lfmt -o $@

.PHONY: fuzz
fuzz: export FUZZ_INPUTS ?= 200000
fuzz: $(FUZZERS)
	@for program in $^; do echo "== $$program"; $$program || exit 1; done
