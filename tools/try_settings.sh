#!/bin/bash
# What settings are worth without pre-trained weights: balanced accuracy on the test clips over seeds, on synthetic scenes and
# on ESC-10. The tables of docs/recommended.md and docs/augmentation.md and the range in README.md are its output.
#
#   tools/try_settings.sh FOLDER ESC10.csv [rates|augmentation|demo]...
#
# FOLDER keeps stores and runs: the same command goes on where it stopped. A row is a setting; a score is the mean, the
# sample standard deviation and the range over SEEDS seeds of training and, where it is drawn, of the split.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '5,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }

SCENE=${SCENE:-build/scene}
SEEDS=${SEEDS:-5} # at least 2
CLIPS=${CLIPS:-870}
WIDTH=${WIDTH:-0.125}
ARCHITECTURE=${ARCHITECTURE:-fcnn}
THREADS=${THREADS:-0} # 0: all cores. Two searches with 1 each, in two folders, are faster than one with 2, with the same scores
# "rate decay every batch epochs"; early stop and all else are the files'.
RATES=${RATES:-"0.0001 0.9 2 64 20
0.0001 0.9 2 16 20
0.0005 0.9 2 16 20
0.001 0.9 2 16 20
0.002 0.9 2 16 20
0.004 0.9 2 16 20
0.002 0.85 1 16 20
0.002 0.9 2 64 20
0.002 0.9 2 16 40
0.004 0.9 2 16 40"}
PARTS=${PARTS:-"none
mixup_alpha=0.7 mixup_probability=0.9
frequency_mask_share=0.1953125
time_mask_share=0.1953125
roll_seconds=5
gain_db=1.7
preset=eat"}
folder=$1 esc=$2
shift 2
mkdir -p "$folder"

store() {
    [ -e "$folder/$1.store" ] || "$SCENE" prepare "$2" "$folder/$1.store" "${@:3}" --quiet
}
# score NAME STORE ARGUMENT...: the test scores of `scene train`.
score() {
    local run=$folder/$1-$2
    "$SCENE" train "$folder/$2.store" --run "$run" --seeds "$SEEDS" --threads "$THREADS" --quiet "${@:3}" > /dev/null
    python3 - "$run/summary.json" << 'PYTHON'
import json, sys
test = json.load(open(sys.argv[1]))["scores"]["test_balanced_accuracy"]
values = test["values"]
print("%.3f ± %.3f (%.3f to %.3f)" % (test["mean"], test["deviation"], min(values), max(values)))
PYTHON
}
# row NAME ARGUMENT...: a line of the table. Small networks without pseudo labels, on the audio alone.
row() {
    local common=(--config configs/recommended.toml --set training.stages=1 --set training.hard_samples=false
        --set system=small --set model.multimodal=off --set model.architecture="$ARCHITECTURE" --set model.width="$WIDTH" "${@:2}")
    local name=$ARCHITECTURE,$WIDTH,${1// /,} synthetic esc
    synthetic=$(score "$name" synthetic --split simulation "${common[@]}")
    esc=$(score "$name" esc --split fold:4 --labelled-share 1 "${common[@]}")
    echo "| $1 | $synthetic | $esc |"
}

if [ "$*" != demo ]; then
    [ -e "$folder/synthetic.store" ] || "$SCENE" synth "$folder/synthetic" --clips "$CLIPS" --labelled 1 --seconds 3 --quiet
    store synthetic "$folder/synthetic" --seconds 3
    store esc "$esc" --seconds 5
fi
for what in "${@:-rates}"; do
    case $what in
    rates)
        echo "| rate, decay, every, batch, epochs | synthetic | ESC-10 |"
        while read -r rate decay every batch epochs; do
            row "$rate $decay $every $batch $epochs" --set training.learning_rate="$rate" --set training.decay="$decay" \
                --set training.decay_every="$every" --set training.batch="$batch" --set training.epochs="$epochs"
        done <<< "$RATES"
        ;;
    augmentation)
        echo "| part | synthetic | ESC-10 |"
        while read -r part; do
            sets=()
            for one in ${part/#none/preset=none}; do sets+=(--set "augmentation.$one"); done
            row "$part" "${sets[@]}"
        done <<< "$PARTS"
        ;;
    demo)
        [ -e "$folder/demo.store" ] || "$SCENE" synth "$folder/demo" --clips 1400 --labelled 0.4 --seconds 3 --clips-per-session 4 \
            --difficulty 0 --quiet
        store demo "$folder/demo" --seconds 3
        isa=$("$SCENE" info | sed -n 's/^CPU kernels *\([^ ]*\).*/\1/p')
        demo=$(score "$isa" demo --config configs/demo.toml --split simulation --device cpu)
        echo "demo, kernels for $isa: $demo"
        ;;
    *) echo "try_settings: '$what' is none of rates, augmentation, demo" >&2 && exit 2 ;;
    esac
done
