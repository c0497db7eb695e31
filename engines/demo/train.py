"""Trains the demo's networks. Two halves, in any order or at once, and a finish:

    python train.py sound   --cache cache    mel windows -> articulation  (AudioEncoder + Listener)
    python train.py picture --cache cache    articulation -> picture      (Painter)
    python train.py mouth   --cache cache    after it: the Painter's hearing half, sharper

Seeded, resumable (start it again and it goes on from its last checkpoint), logs to `--log`.
"""

import argparse
from pathlib import Path

import torch

from training.mouth import train_mouth
from training.picture import train_picture
from training.sound import train_sound


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=["sound", "picture", "mouth"])
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--log", type=Path, default=Path("train.log"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--decay", type=float, default=1e-4)
    parser.add_argument("--every", type=int, default=200, help="steps between log lines and checkpoints")
    parser.add_argument("--whole", type=float, default=0.12, help="last part of the picture run on nothing but whole 320x320 crops")
    parser.add_argument("--teeth", type=float, default=6.0, help="how much more a pixel of teeth counts (mouth)")
    parser.add_argument("--edges", type=float, default=1.0, help="how much the differences of neighbours count (mouth)")
    parser.add_argument("--warm", type=Path, help="begin with the fitting weights of this checkpoint")
    parser.add_argument("--bundle", type=Path, help="begin with the networks of this bundle, batch norm folded")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    default = {"sound": (2200, 10, 2e-3), "picture": (2500, 16, 3e-3), "mouth": (14000, 24, 1.5e-3)}[options.half]
    for name, value in zip(("steps", "batch", "rate"), default):
        if getattr(options, name) is None:
            setattr(options, name, value)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    {"sound": train_sound, "picture": train_picture, "mouth": train_mouth}[options.half](options)


if __name__ == "__main__":
    main()
