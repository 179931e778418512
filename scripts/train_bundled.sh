#!/usr/bin/env bash
# Train a bundled model from the data sets, and put it into the package with its scores and its card:
#     scripts/train_bundled.sh NAME DATA OUT [OPTION ...]
# NAME is mito or nuclei, DATA the folder with the data sets and splits.json, OUT a folder for the runs. Each OPTION goes
# to every `autosam train`: --set training.steps=2 rehearses the whole way in minutes, --device cuda uses a GPU. An
# interrupted run goes on where it stopped. Run it from the root of the repository, with the package installed in editable
# mode: it replaces the bundled model, its scores and its card.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: scripts/train_bundled.sh NAME DATA OUT [OPTION ...]" >&2; exit 2; }
name=$1 data=$2 out=$3
options=("${@:4}")
mkdir -p "$out"
case $name in
    mito)
        root=$data
        # That of DATA, with a slice of the HeLa cell to validate.
        options+=(--set "data.split=$PWD/scripts/bundled/mito_split.json")
        ;;
    nuclei)
        root=$out/stores
        mkdir -p "$root"
        for source in dsb2018 monuseg dsb2018_extra monuseg_extra bbbc039; do
            [ -f "$root/$source.h5" ] && continue
            autosam data import "$data/$source" -o "$root/$source.part.h5"
            autosam data split "$root/$source.part.h5" --from "$data/splits.json:$source"
            mv "$root/$source.part.h5" "$root/$source.h5"
        done
        ;;
    *) echo "NAME is $name; wanted mito or nuclei" >&2; exit 2 ;;
esac

train() {  # folder, then the options of a run that is new
    local run=$out/$1
    shift
    if [ -f "$run/last.pt" ]; then
        autosam train "$root" -o "$run" --resume
    else
        autosam train "$root" -o "$run" "$@" "${options[@]}"
    fi
}

train start --config "scripts/bundled/${name}_start.yaml"
start=$out/start/model.safetensors
train final --config "scripts/bundled/$name.yaml" --set "model.sam.base=$start" --set "model.generator.base=$start"

final=$out/final/model.safetensors
if [ "$name" = nuclei ]; then
    # The generator goes on alone, and SAM with a generator of its own beside it: then each step serves the one that it
    # is for, and the two runs can be made at the same time.
    train generator --config scripts/bundled/nuclei_generator.yaml --set "model.generator.base=$final"
    train sam --config scripts/bundled/nuclei_sam.yaml --set "model.sam.base=$final" --set "model.generator.base=$final"
    train again --config scripts/bundled/nuclei_again.yaml --devices 2 --set "model.generator.base=$out/generator/model.safetensors"
    train further --config scripts/bundled/nuclei_again.yaml --devices 2 --set seed=1 \
        --set "model.generator.base=$out/again/model.safetensors"
    train fine --config scripts/bundled/nuclei_fine.yaml --devices 2 --set "model.generator.base=$out/further/model.safetensors"
    train sized --config scripts/bundled/nuclei_sized.yaml --devices 2 --set "model.generator.base=$out/fine/model.safetensors"
    generators=("$out/fine/model.safetensors" "$out/sized/model.safetensors")
    # Only now SAM's last stage: it learns from the prompts of the generator that it will work with.
    if [ ! -f "$out/refine/last.pt" ]; then
        python scripts/bundle_model.py "$out/sam/model.safetensors" "$name" --generator "${generators[@]}" \
            --tuned scripts/bundled/nuclei_teacher.yaml
        cp src/autosam/models/bundled/nuclei.safetensors "$out/unrefined.safetensors"
    fi
    train refine --config scripts/bundled/nuclei_refine.yaml --devices 2 --set "model.sam.base=$out/unrefined.safetensors" \
        --set "model.generator.base=$out/unrefined.safetensors"
    python scripts/bundle_model.py "$out/refine/model.safetensors" "$name" --generator "${generators[@]}" \
        --tuned scripts/bundled/nuclei_teacher.yaml
    # Last of all the generator learns to give in one pass what it gives on average over mirror images and zooms.
    cp src/autosam/models/bundled/nuclei.safetensors "$out/teacher.safetensors"
    train student --config scripts/bundled/nuclei_student.yaml --set "training.teacher=$out/teacher.safetensors" \
        --set "model.generator.base=$out/teacher.safetensors"
    python scripts/bundle_model.py "$out/teacher.safetensors" "$name" --generator "$out/student/model.safetensors"
    python scripts/add_statistics.py "$root" src/autosam/models/bundled/nuclei.safetensors --config scripts/bundled/nuclei_student.yaml
    python scripts/add_region_classifier.py "$root" src/autosam/models/bundled/nuclei.safetensors --config scripts/bundled/nuclei_student.yaml
else
    # SAM learns from the regions of an early generator, while the generator is trained; last of all from those of the
    # generator that it will work with.
    train early --config scripts/bundled/mito_early.yaml
    train sam --config scripts/bundled/mito_sam.yaml --set "model.sam.base=$final" \
        --set "model.generator.base=$out/early/model.safetensors"
    train generator --config scripts/bundled/mito_generator.yaml
    train calm --config scripts/bundled/mito_calm.yaml --set "model.generator.base=$out/generator/model.safetensors"
    train refine --config scripts/bundled/mito_refine.yaml --set "model.sam.base=$out/sam/model.safetensors" \
        --set "model.generator.base=$out/generator/model.safetensors"
    python scripts/bundle_model.py "$out/refine/model.safetensors" "$name" \
        --generator "$out/generator/model.safetensors" "$out/calm/model.safetensors"
    python scripts/add_statistics.py "$root" src/autosam/models/bundled/mito.safetensors --config "$out/calm/config.yaml"
fi
scripts/score_bundled.sh "$name" "$data" "$out/scores"
python scripts/model_card.py "$name" "$data" "$out"
