"""A strip of output frames with the words being spoken under them, for a README.

    lipsyncd synth --avatar avatars/demo --audio avatars/demo/sentence.wav --out out
    python engines/demo/strip.py --frames out --out strip.jpg

Without `--frames` the frames are made here, by player.py.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

import draw
import recipe
from make_bundle import sentence
from player import Player
from speech import read_wav

BUNDLE = Path(__file__).resolve().parents[2] / "avatars" / "demo"
TILE = 150  # pixels per face in the strip


def folder_frames(folder, wanted):
    """The wanted output frames of `lipsyncd synth --out folder`."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png"))
    return {i: cv2.imread(str(paths[i])) for i in wanted}


def own_frames(avatar, wanted):
    """The same frames from player.py."""
    player = Player(avatar)
    contexts = player.contexts(read_wav(avatar / "sentence.wav"))
    return {i: player.draw(recipe.ping_pong(i, len(player.frames)), contexts[i]) for i in wanted}


def loudest_vowel(word, phonemes):
    """A moment that shows the word: the middle of its longest sound."""
    inside = [(end - begin, begin, end) for begin, end, name in phonemes if name and word[0] - 0.01 <= begin < word[1] - 0.01]
    _, begin, end = max(inside, default=(0, word[0], word[1]))
    return (begin + end) / 2


def tile(frame, index, word):
    """One face with its word and its time."""
    x, y = (round(v) for v in draw.in_frame(draw.pose(recipe.ping_pong(index, draw.FRAMES)), 0, 30))
    face = cv2.resize(frame[y - 160 : y + 160, x - 130 : x + 130], (TILE, TILE * 320 // 260), interpolation=cv2.INTER_AREA)
    note = np.full((34, TILE, 3), 255, np.uint8)
    (width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
    cv2.putText(note, word, ((TILE - width) // 2, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (30, 30, 30), 1, cv2.LINE_AA)
    return np.vstack([face, note])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--avatar", type=Path, default=BUNDLE)
    parser.add_argument("--frames", type=Path, help="output folder of lipsyncd synth on sentence.wav")
    parser.add_argument("--out", type=Path, default=Path("strip.jpg"))
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rows", type=int, default=2)
    options = parser.parse_args()
    spoken = sentence()
    words = [w for w in spoken.words if w[2].strip(" .,!")][: options.columns * options.rows]
    shown = [(int(loudest_vowel(w, spoken.phonemes) * draw.FPS), w[2].strip(" .,!")) for w in words]
    wanted = sorted({i for i, _ in shown})
    frames = folder_frames(options.frames, wanted) if options.frames else own_frames(options.avatar, wanted)
    tiles = [tile(frames[i], i, word) for i, word in shown]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % options.columns)
    rows = [np.hstack(tiles[i : i + options.columns]) for i in range(0, len(tiles), options.columns)]
    cv2.imwrite(str(options.out), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
