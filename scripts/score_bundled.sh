#!/usr/bin/env bash
# Scores of a bundled model on the validation split of its data sets, of its generator alone, with SAM for every object, and, where it
# has a region classifier, of the generator with a watershed by thresholds:
#     scripts/score_bundled.sh NAME DATA OUT [MODEL]
# NAME is mito or nuclei, DATA the folder with the data sets and splits.json, MODEL another file than the bundled one.
# The tables go to OUT/*/evaluation.{csv,json}, where each lost object was lost to OUT/*-stages.
set -euo pipefail
name=$1 data=$2 out=$3 model=${4:-$1}
mkdir -p "$out"
case $name in
    mito) sources=(epfl vnc cardona hela) ways=(sam generator) splits=scripts/bundled/mito_split.json ;;
    nuclei) sources=(dsb2018 monuseg) ways=(generator sam watershed) splits=$data/splits.json ;;
    *) echo "NAME is $name; wanted mito or nuclei" >&2; exit 2 ;;
esac

truth_of() {  # truth and options of a source
    case $1 in
        epfl | vnc) echo "$data/$1/mitochondria --components" ;;
        dsb2018 | cardona | hela) echo "$data/$1/labels" ;;
        monuseg) echo "$data/$1" ;;
    esac
}

for source in "${sources[@]}"; do
    folder=$data/$source/raw
    [ -d "$folder" ] || folder=$data/$source/images
    mapfile -t images < <(python -c '
import json, sys
splits, source, folder = sys.argv[1:]
for stem in json.load(open(splits))[source]["val"]:
    print(f"{folder}/{stem}.png")' "$splits" "$source" "$folder")
    read -r -a truth < <(truth_of "$source")
    for way in "${ways[@]}"; do
        # The first way is the model as it is.
        settings=()
        [ "$way" = "${ways[0]}" ] || settings+=(--set "decode.sam=$([ "$way" = sam ] && echo true || echo false)")
        [ "$source" = hela ] && settings+=(--pixel-size 10)
        [ "$way" = watershed ] && settings+=(--set prompts.region_classifier=false)
        autosam segment "${images[@]}" -o "$out/$source-$way" --model "$model" "${settings[@]}" --overwrite
        autosam evaluate "$out/$source-$way" "${truth[@]}" --list "$splits:$source.val" \
            -o "$out/$source-$way"
    done
    # A diagnosis counts every pixel, and the labels of hela are complete in parts of its images only.
    [ "$source" = hela ] || autosam evaluate "$out/$source-${ways[0]}" "${truth[@]}" --list "$splits:$source.val" --diagnose \
        -o "$out/$source-stages"
done

if [ "$name" = nuclei ]; then
    python -c '
import csv, json, sys
data, out = sys.argv[1:]
modality = {row["id"]: row["modality"] for row in csv.DictReader(open(f"{data}/dsb2018/index.csv"))}
names = [name for name in json.load(open(f"{data}/splits.json"))["dsb2018"]["val"] if modality[name] == "fluo"]
open(f"{out}/fluorescence.txt", "w").write("\n".join(names) + "\n")' "$data" "$out"
    for way in "${ways[@]}"; do
        autosam evaluate "$out/dsb2018-$way" "$data/dsb2018/labels" --list "$out/fluorescence.txt" \
            -o "$out/fluorescence-$way"
    done
fi
