#!/bin/bash
# make demo: System #4 on synthetic scenes, from audio files to a held-out score. Prints every command of the way.
set -euo pipefail

SCENE=${SCENE:-build/scene}
DEMO_DIR=${DEMO_DIR:-build/demo}
CONFIG=${CONFIG:-configs/demo.toml}
CLIPS=${CLIPS:-1400}
LABELLED=${LABELLED:-0.4}
SECONDS_PER_CLIP=${SECONDS_PER_CLIP:-3}

audio=$DEMO_DIR/audio store=$DEMO_DIR/store.safetensors run=$DEMO_DIR/run
start=$SECONDS

step() {
    echo
    echo "\$ $*"
    "$@"
}
# The balanced accuracy of `scene evaluate` on the run's test clips: the first in its JSON, before those of the cities.
score() {
    "$SCENE" evaluate "$@" "$store" --quiet --json | grep -o '"balanced_accuracy": [0-9.]*' | grep -o '[0-9.]*$' | sed -n 1p
}

mkdir -p "$DEMO_DIR"
rm -rf "$audio" "$store" "$store".* "$run"

step "$SCENE" synth "$audio" --clips "$CLIPS" --labelled "$LABELLED" --seconds "$SECONDS_PER_CLIP" \
    --clips-per-session 4 --difficulty 0
step "$SCENE" prepare "$audio" "$store" --seconds "$SECONDS_PER_CLIP" --device cpu
step "$SCENE" train "$store" --config "$CONFIG" --split simulation --run "$run" --device cpu
step "$SCENE" evaluate "$run" "$store" --device cpu

untrained=$(score "$run" --untrained)
labelled_only=$(score "$run/best_model_1.safetensors")
final=$(score "$run")

echo
LC_ALL=C printf 'untrained network                    %.3f\n' "$untrained"
LC_ALL=C printf 'labelled clips alone (stage 1)       %.3f\n' "$labelled_only"
LC_ALL=C printf 'with pseudo labels (stage 2)         %.3f\n' "$final"
echo "report: $run/report.html, $((SECONDS - start)) s in all"
LC_ALL=C printf 'test balanced accuracy %.3f\n' "$final"
