# A table of what cuDNN's heuristics propose (tests/cudnn_engines): `make cudnn-engines PROFILE=h100` writes
# build/cudnn-engines/PROFILE.md and .json. It takes a minute; with PLANS=all several.

PROFILE ?= h100
cudnn_engines := $(BUILD)/tests/cudnn_engines/cudnn_engines

$(BUILD)/tests/cudnn_engines/main.o: FLAGS += -isystem $(CUDA_HOME)/include
$(cudnn_engines): $(BUILD)/tests/cudnn_engines/main.o $(BUILD)/libmodel.a $(CUDA_ARCHIVE) $(BUILD)/libkernels.a
	$(call say,link,$@)
	$(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

.PHONY: cudnn-engines
cudnn-engines: $(cudnn_engines) $(BUILD)/tests/stand_ins/libcuda.so.1
	@mkdir -p $(BUILD)/cudnn-engines
	@LD_LIBRARY_PATH=$(BUILD)/tests/stand_ins$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH} $< $(PROFILE) \
	    $(BUILD)/cudnn-engines/$(PROFILE).json $(PLANS) > $(BUILD)/cudnn-engines/$(PROFILE).md
	@echo "$(BUILD)/cudnn-engines/$(PROFILE).md"
