# tests/fuzz/*_fuzz.cpp: one program each, with the parsers that they feed, under AddressSanitizer and UBSan.

FUZZERS := $(patsubst tests/fuzz/%.cpp,$(BUILD)/tests/%,$(wildcard tests/fuzz/*_fuzz.cpp))

# nlohmann-json takes longer to compile than everything that uses it: these sources are one unit.
fuzzed_json := kernels/safetensors.cpp data/splits.cpp data/prepare_journal.cpp data/feature_store.cpp \
               model/checkpoint_info.cpp train/history.cpp
fuzzed      := $(addprefix data/,csv.cpp dataset.cpp dataset_format.cpp cas2023.cpp esc50.cpp tau.cpp table.cpp folder.cpp \
               audio_container.cpp grouped_splits.cpp official_split.cpp record_time.cpp) \
               kernels/atomic_file.cpp kernels/crc32c.cpp kernels/cuda/plan_cache.cpp tests/fuzz/fuzz.cpp
sanitized   := $(BUILD)/sanitized
sanitizers  := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer

$(sanitized)/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(FLAGS) -O1 $(CXXFLAGS) $(sanitizers) -c $< -o $@
$(sanitized)/json.cpp: tests/fuzz.mk
	@mkdir -p $(@D)
	printf '#include "%s"\n' $(fuzzed_json) > $@
$(sanitized)/json.o: $(sanitized)/json.cpp
	$(CXX) $(FLAGS) -O1 $(CXXFLAGS) $(sanitizers) -c $< -o $@

$(sanitized)/libfuzzed.a: $(fuzzed:%.cpp=$(sanitized)/%.o) $(sanitized)/json.o
	@rm -f $@
	ar rcs $@ $^
$(FUZZERS): $(BUILD)/tests/%: $(sanitized)/tests/fuzz/%.o $(sanitized)/libfuzzed.a
	@mkdir -p $(@D)
	$(CXX) $(sanitizers) $^ -lfmt -o $@

.PHONY: fuzz
fuzz: export FUZZ_INPUTS ?= 200000
fuzz: $(FUZZERS)
	@for program in $^; do echo "== $$program"; $$program || exit 1; done
