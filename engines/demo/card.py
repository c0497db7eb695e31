"""Writes the bundle's card, `README.md`, from the measured figures."""

import argparse
import datetime
import json
import re
from pathlib import Path

import onnx

import draw
import texts
from evaluate import summary, table
from make_bundle import SENTENCE_VOICE

CARD = """\
# The demo avatar

A drawn person who speaks whatever she hears. Nobody sat for her: the character is invented and drawn by a program,
her training voices are synthetic, her networks were trained from nothing by the scripts in
[`engines/demo`](../../engines/demo), which make every file of this folder again.

![mouths](contact_sheet.jpg)

Sounds of held-out speech by held-out voices: above the drawing that the phonemes ask for, below what the networks
made of the sound. Pasted with the whole recipe, bicubic and bytes included.

## What is in it
| file | what |
| --- | --- |
| `frames/`, `boxes.json` | {frames} idle frames, 1280x720, 25 frames/s, played ping-pong; lips shut; sway, breath and blinks |
| `generator.onnx` | `[N,6,320,320]` + `[N,32,16,16]` -> `[N,3,320,320]`; {generator_parameters:.2f} M parameters, {generator_mb:.1f} MB |
| `audio_encoder.onnx` | `[N,1,80,16]` -> `[N,512]`; {encoder_parameters:.2f} M parameters, {encoder_mb:.1f} MB |
| `sentence.wav` | {seconds:.1f} s, 16 kHz, spoken by espeak-ng (`{voice}`): "{sentence}" |
| `avatar.toml` | the manifest |
| `contact_sheet.jpg` | the picture above |

## Figures
Measured {date} by `engines/demo/evaluate.py` on {utterances} held-out utterances ({speech_frames} frames: texts and
espeak-ng voice variants that training never saw, five languages, every second one with room, equaliser and noise),
on silence and noise, and on the recordings of a person that Debian's `alsa-utils` ships. Openings are read from the
pixels of finished frames.

{table}

Further: mean error of the opening {error:.2f} px (widest {gap:.0f}); PSNR of the mouth alone {mouth:.1f} dB; the worst
utterance's correlation {worst:.3f}; shut lips by kind of non-speech: {silence}.
One core of an AMD EPYC (Zen 4, shared with other work while measuring), ONNX Runtime fp32, batch 1: generator
{generator_ms:.1f} ms (best {generator_best:.1f}), encoder {encoder_ms:.2f} ms.

{people}

For a known articulation the painter's mouth is within {painter} dB PSNR of the drawing's (held-out poses and mouths,
`train.log`): the edge of the upper teeth and the lips' outlines are as sharp. Weak points: what the sound leaves open becomes
a mean, so that lower teeth show less often than in the drawing and the lines between teeth are faint; and very
short vowels between two closures open less than they should.

## How it was made
espeak-ng says our own sentences in English, German, French, Spanish and Italian and reports its phonemes in time; phonemes
become seven articulation numbers with coarticulation; the audio encoder and the first layers of the generator learn
those from spoilt sound; the generator's U-Net learns to draw the mouth from them. The log of the run that made these
weights is [`engines/demo/train.log`](../../engines/demo/train.log).

## Licence
MIT OR Apache-2.0, like lipsyncd: drawing, texts, sound, frames and weights.
"""


def parameters(path):
    return sum(max(1, int(onnx.numpy_helper.to_array(t).size)) for t in onnx.load(path).graph.initializer) / 1e6


def people_table(recordings):
    rows = ["| recording | opening against envelope | best lag | widest | shut when quiet |", "| --- | --- | --- | --- | --- |"]
    percent = lambda v: "-" if v is None else f"{100 * v:.0f} %"
    for name, r in recordings.items():
        if "correlation" in r:
            rows.append(f"| {name} | {r['correlation']:.2f} | {r['best_lag']} | {r['widest_px']:.0f} px | {percent(r['shut_when_quiet'])} |")
        else:
            rows.append(f"| {name} (no speech) | - | - | - | {percent(r['shut'])} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avatar", type=Path, default=Path("../../avatars/demo"))
    parser.add_argument("--figures", type=Path, default=Path("figures.json"))
    options = parser.parse_args()
    figures = json.loads(options.figures.read_text())
    speech, speed = figures["held_out"], figures["speed_one_core"]
    megabytes = lambda name: (options.avatar / name).stat().st_size / 1e6
    (options.avatar / "README.md").write_text(CARD.format(
        frames=draw.FRAMES,
        generator_parameters=parameters(options.avatar / "generator.onnx"),
        encoder_parameters=parameters(options.avatar / "audio_encoder.onnx"),
        generator_mb=megabytes("generator.onnx"),
        encoder_mb=megabytes("audio_encoder.onnx"),
        seconds=((options.avatar / "sentence.wav").stat().st_size - 44) / 32000,
        voice=SENTENCE_VOICE.name,
        sentence=texts.SENTENCE,
        date=datetime.date.today().isoformat(),
        utterances=len(speech["utterances"]),
        speech_frames=speech["frames"],
        table=table(summary(figures)),
        error=speech["opening_error_px"],
        gap=draw.GAP_PX,
        mouth=speech["mouth_psnr_db"],
        painter=re.findall(r" mouth step .* mouth ([\d.]+) \(", Path("train.log").read_text())[-1],
        worst=speech["opening_correlation_worst_utterance"],
        silence=", ".join(f"{k} {100 * v:.0f} %" for k, v in figures["silence"].items()),
        generator_ms=speed["generator_ms"]["median"],
        generator_best=speed["generator_ms"]["min"],
        encoder_ms=speed["encoder_ms"]["median"],
        people=people_table(figures["recordings"]),
    ))


if __name__ == "__main__":
    main()
