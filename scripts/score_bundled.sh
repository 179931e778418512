#!/usr/bin/env bash
# Scores of the bundled model on the validation split of epfl and vnc, and of its generator alone:
#     scripts/score_bundled.sh DATA OUT [MODEL]
# DATA is the folder with epfl/, vnc/ and splits.json; the tables go to OUT/*/evaluation.{csv,json}.
set -euo pipefail
data=$1 out=$2 model=${3:-mito}
for source in epfl vnc; do
    mapfile -t images < <(python -c '
import json, sys
data, source = sys.argv[1:]
for stem in json.load(open(f"{data}/splits.json"))[source]["val"]:
    print(f"{data}/{source}/raw/{stem}.png")' "$data" "$source")
    for way in sam generator; do
        setting=decode.sam=$([ "$way" = sam ] && echo true || echo false)
        autosam segment "${images[@]}" -o "$out/$source-$way" --model "$model" --set "$setting" --overwrite
        autosam evaluate "$out/$source-$way" "$data/$source/mitochondria" --components \
            --list "$data/splits.json:$source.val" -o "$out/$source-$way"
    done
done
