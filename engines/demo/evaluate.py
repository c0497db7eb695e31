"""Measures the bundle against what the demo must show; writes `figures.json` and prints a table.

Every figure is read from the pixels of frames made by the whole path (player.py): mel, ONNX Runtime, paste.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

import articulation
import draw
import mel
import texts
from corpus import closures, noise, padded, spoil
from player import Player
from ruler import lip_gap
from speech import SAMPLE_RATE, Espeak, Voice, read_wav

SHUT_PX = 2.0  # a gap read below this is shut (the ruler reads up to 1 px on lips drawn shut)
ALSA = Path("/usr/share/sounds/alsa")


def correlation(a, b, lag=0):
    """Pearson's, with `a` taken `lag` frames later than `b`."""
    if lag > 0:
        a, b = a[lag:], b[:-lag]
    elif lag < 0:
        a, b = a[:lag], b[-lag:]
    return float(np.corrcoef(a, b)[0, 1])


def psnr(a, b):
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(np.float64) - b) ** 2), 1e-9)))


def held_out(espeak, readings):
    """Held-out texts in held-out voices: `(name, samples, spoken, code)`, every second one spoilt."""
    rng = np.random.default_rng(2024)
    count = 0
    for languages, lines in texts.HELD_OUT.items():
        for text in lines:
            for _ in range(readings):
                variant = texts.HELD_OUT_VARIANTS[count % len(texts.HELD_OUT_VARIANTS)]
                language = languages[count % len(languages)]
                voice = Voice(f"{language}+{variant}", int(rng.integers(125, 205)), int(rng.integers(25, 80)), 50)
                spoken = padded(closures(espeak.say(text, voice)), 0.4, 0.4)
                spoilt = count % 2 == 1
                samples = spoil(rng, spoken.samples) if spoilt else spoken.samples
                code = articulation.at_frames(articulation.track(spoken.phonemes, spoken.seconds), mel.frame_count(samples))
                yield f"{voice.name} {'spoilt' if spoilt else 'clean'}: {text[:32]}", samples, spoken, code
                count += 1


def edge_step(frame, box):
    """Mean absolute step across the four sides of the box, in levels."""
    x0, y0, x1, y1 = box
    f = frame.astype(np.float64)
    steps = (f[y0, x0:x1] - f[y0 - 1, x0:x1], f[y1 - 1, x0:x1] - f[y1, x0:x1],
             f[y0:y1, x0] - f[y0:y1, x0 - 1], f[y0:y1, x1 - 1] - f[y0:y1, x1])
    return float(np.mean([np.abs(s).mean() for s in steps]))


def on_held_out(player, espeak, readings, every):
    """Opening, picture, seam and closure on held-out speech."""
    rows, gaps, truths, box_db, mouth_db, seams, met, closings = [], [], [], [], [], [], 0, 0
    start = 0
    for name, samples, spoken, code in tqdm(list(held_out(espeak, readings)), desc="held out"):
        gap = []
        for i, (at, frame) in enumerate(player.play(samples, start)):
            pose, box = draw.pose(at), player.boxes[at]
            gap.append(lip_gap(frame, pose))
            if i % every == 0:
                x0, y0, x1, y1 = box
                truth = draw.frame(pose, code[i], box)
                mine = frame[y0:y1, x0:x1]
                box_db.append(psnr(mine, truth))
                mouth = (slice(180, 285), slice(100, 232))
                mouth_db.append(psnr(mine[mouth], truth[mouth]))
                seams.append(edge_step(frame, box) - edge_step(player.frames[at], box))
        start += len(gap)
        gap, truth = np.array(gap), np.array([draw.lip_gap_px(c) for c in code])
        for begin, end, phoneme in spoken.phonemes:
            if articulation.classes(phoneme) == ["bilabial"]:
                centre = int((begin + end) / 2 * mel.FPS)
                met += gap[max(0, centre - 1) : centre + 2].min() < SHUT_PX
                closings += 1
        rows.append((name, correlation(gap, truth)))
        gaps.append(gap)
        truths.append(truth)
    edge = [g[:9] for g in gaps] + [g[-8:] for g in gaps]  # 0.4 s of silence at both ends, less what may ring
    lags = {lag: float(np.mean([correlation(g, t, lag) for g, t in zip(gaps, truths)])) for lag in range(-3, 4)}
    return {
        "utterances": rows,
        "frames": sum(map(len, gaps)),
        "opening_correlation": correlation(np.concatenate(gaps), np.concatenate(truths)),
        "opening_correlation_worst_utterance": min(r for _, r in rows),
        "opening_correlation_by_lag": lags,
        "best_lag_frames": max(lags, key=lags.get),
        "opening_error_px": float(np.abs(np.concatenate(gaps) - np.concatenate(truths)).mean()),
        "closures": closings,
        "closures_met": met / closings,
        "shut_before_and_after": float(np.mean(np.concatenate(edge) < SHUT_PX)),
        "box_psnr_db": float(np.mean(box_db)),
        "box_psnr_db_min": float(np.min(box_db)),
        "box_psnr_db_p05": float(np.percentile(box_db, 5)),
        "mouth_psnr_db": float(np.mean(mouth_db)),
        "seam_levels_over_source": float(np.mean(seams)),
        "seam_levels_over_source_max": float(np.max(np.abs(seams))),
    }


def on_silence(player):
    """Share of frames with shut lips when nobody speaks: digital silence and noises of several levels."""
    rng = np.random.default_rng(77)
    shut = {}
    for level in (None, -70, -55, -40, -30):
        count = 6 * SAMPLE_RATE
        samples = np.zeros(count) if level is None else noise(rng, count) * 10 ** (level / 20)
        gaps = [lip_gap(frame, draw.pose(at)) for at, frame in player.play(samples.astype(np.float32))]
        shut["digital" if level is None else f"noise {level} dB"] = float(np.mean(np.array(gaps) < SHUT_PX))
    return shut


def envelope(samples, frames):
    """Speech envelope per video frame: RMS under a 160 ms Hann window about the middle of the frame."""
    half = int(0.08 * SAMPLE_RATE)
    power = np.convolve(np.pad(samples.astype(np.float64) ** 2, half), np.hanning(2 * half + 1) / half, "same")[half:-half]
    at = np.minimum(((np.arange(frames) + 0.5) / mel.FPS * SAMPLE_RATE).astype(int), len(samples) - 1)
    return np.sqrt(power[at])


def on_recordings(player):
    """A person's voice: alsa-utils' channel announcements (Front Center and so on)."""
    found = {}
    for path in sorted(ALSA.glob("*.wav")):
        samples = read_wav(path)
        gaps = np.array([lip_gap(frame, draw.pose(at)) for at, frame in player.play(samples)])
        if path.stem == "Noise":
            found[path.stem] = {"shut": float(np.mean(gaps < SHUT_PX))}
            continue
        loud = envelope(samples, len(gaps))
        quiet = loud < 0.02 * loud.max()
        found[path.stem] = {
            "correlation": correlation(gaps, loud),
            "best_lag": max(range(-3, 4), key=lambda lag: correlation(gaps, loud, lag)),
            "widest_px": float(gaps.max()),
            "shut_when_quiet": float(np.mean(gaps[quiet] < SHUT_PX)) if quiet.any() else None,
        }
    return found


def speed(player, seconds=4):
    """Milliseconds of one core for a feature, and for a generated frame (batch 1)."""
    rng = np.random.default_rng(0)
    window = rng.random((1, 1, 80, 16), np.float32)
    names = [i.name for i in player.generator.get_inputs()]
    feed = {names[0]: rng.random((1, 6, 320, 320), np.float32), names[1]: rng.random((1, 32, 16, 16), np.float32)}
    times = {}
    for name, run in (("encoder_ms", lambda: player.encoder.run(None, {player.encoder.get_inputs()[0].name: window})),
                      ("generator_ms", lambda: player.generator.run(None, feed))):
        run()
        taken, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            begin = time.perf_counter()
            run()
            taken.append((time.perf_counter() - begin) * 1e3)
        times[name] = {"median": float(np.median(taken)), "min": float(np.min(taken))}
    return times


def summary(figures):
    """`(what, goal, measured, met)` rows."""
    speech, people = figures["held_out"], figures["recordings"]
    voices = [v["correlation"] for v in people.values() if "correlation" in v]
    silence = float(np.mean(list(figures["silence"].values())))
    row = lambda what, goal, value, met: (what, goal, value, "yes" if met else "**no**")
    lag = speech["best_lag_frames"]
    return [
        row("opening against truth, held-out texts and voices", ">= 0.90", f"{speech['opening_correlation']:.3f}", speech["opening_correlation"] >= 0.9),
        row("best lag", "0 (at most 1) frames", f"{lag}", abs(lag) <= 1),
        row("mouth shut on silence and noise", ">= 99 %", f"{100 * silence:.1f} %", silence >= 0.99),
        row("mouth shut in the 0.4 s around speech", ">= 99 %", f"{100 * speech['shut_before_and_after']:.1f} %", speech["shut_before_and_after"] >= 0.99),
        row("opening against envelope, people's recordings (mean of eight)", ">= 0.6", f"{np.mean(voices):.2f} ({min(voices):.2f} .. {max(voices):.2f})", np.mean(voices) >= 0.6),
        row("box PSNR against the true drawing", ">= 30 dB", f"{speech['box_psnr_db']:.1f} (5 % below {speech['box_psnr_db_p05']:.1f})", speech["box_psnr_db"] >= 30),
        row("step across the box edge over the source's own", "<= 1 level", f"{speech['seam_levels_over_source']:+.3f} (worst {speech['seam_levels_over_source_max']:.3f})", abs(speech["seam_levels_over_source_max"]) <= 1),
        row("lips meet on p b m, within 1 frame", ">= 90 %", f"{100 * speech['closures_met']:.1f} % of {speech['closures']}", speech["closures_met"] >= 0.9),
    ]


def table(rows):
    return "\n".join(["| what | goal | measured | met |", "| --- | --- | --- | --- |"] + ["| " + " | ".join(r) + " |" for r in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avatar", type=Path, default=Path("../../avatars/demo"))
    parser.add_argument("--out", type=Path, default=Path("figures.json"))
    parser.add_argument("--readings", type=int, default=2, help="voices per held-out text")
    parser.add_argument("--every", type=int, default=4, help="compare every n-th frame with the true drawing")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    player = Player(options.avatar)
    figures = {
        "held_out": on_held_out(player, Espeak(), options.readings, options.every),
        "silence": on_silence(player),
        "recordings": on_recordings(player),
        "speed_one_core": speed(player),
    }
    options.out.write_text(json.dumps(figures, indent=1))
    print(table(summary(figures)))
    print(json.dumps({k: v for k, v in figures.items() if k != "held_out"}, indent=1))


if __name__ == "__main__":
    main()
