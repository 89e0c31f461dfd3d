#!/usr/bin/env bash
# Go on with a supernet's training for a quarter of an hour on one GPU.
#
#     SECONDS_LEFT=780 bash benchmarks/gpu_quarter_hour.sh PHOTOS SUPERNET OUT
#
# Times a few steps, trains as many as fit, and writes the new supernet to OUT in pieces of at most
# 16 MiB, with its curves: `cat OUT/supernet.* > supernet.safetensors` joins them.
set -euo pipefail
photographs=$1 supernet=$2 out=$3
seconds=${SECONDS_LEFT:-780} timed=40
recipe=(+space=pico_large "data.root=$photographs" data.train_crops=8000 data.select_crops=24
        "supernet=$supernet" pretrain.joint.subnets=4 pretrain.joint.batch=8
        pretrain.validate_every=100000
        "run.root=$out/runs")
train() { python -m search pretrain "${recipe[@]}" "$@"; }

started=$(date +%s)
# The first call also decodes the photographs, which the second finds in its cache.
train run.name=first pretrain.joint.steps=1 pretrain.entropy.steps=1
began=$(date +%s)
train run.name=timed "pretrain.joint.steps=$timed" pretrain.entropy.steps=0
now=$(date +%s)
steps=$(((seconds - (now - started) - 60) * timed / (now - began + 1)))
train run.name=whole "pretrain.joint.steps=$steps"
split --bytes=15M --numeric-suffixes "$out/runs/supernets/whole/supernet.safetensors" "$out/supernet."
cp "$out/runs/supernets/whole/curves.csv" "$out"
rm -r "$out/runs"
