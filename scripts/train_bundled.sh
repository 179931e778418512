#!/usr/bin/env bash
# Train a bundled model anew and put it into the package:
#     scripts/train_bundled.sh mito|nuclei DATA WORK
# DATA is the folder with epfl/, vnc/, dsb2018/, monuseg/ and splits.json; WORK takes the run, which goes on where it
# stopped if it is there already. About an hour on two CPU cores.
set -euo pipefail
name=$1 data=$2 work=$3
mkdir -p "$work"
case $name in
    mito) source=$data licence="CC BY-NC-SA 3.0" ;;
    nuclei)
        source=$work/nuclei_data licence="CC BY-NC-SA 4.0"
        mkdir -p "$source"
        for set in dsb2018 monuseg; do
            [ -e "$source/$set.h5" ] && continue
            autosam data import "$data/$set" -o "$source/$set.h5"
            autosam data split "$source/$set.h5" --from "$data/splits.json:$set"
        done
        ;;
    *) echo "no bundled model is named $name: mito or nuclei" >&2; exit 2 ;;
esac
if [ -e "$work/$name/last.pt" ]; then
    autosam train "$source" -o "$work/$name" --resume
else
    autosam train "$source" -o "$work/$name" --config "$name" --licence "$licence"
fi
python "$(dirname "$0")/bundle_model.py" "$work/$name/model.safetensors" "$name"
