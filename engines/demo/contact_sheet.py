"""A sheet of mouths: sounds of held-out speech, the true drawing above what the networks make of the sound."""

import argparse
from pathlib import Path

import cv2
import numpy as np

import articulation
import draw
from evaluate import held_out
from player import Player
from speech import Espeak

SOUNDS = ["", "p", "b", "m", "f", "v", "θ", "s", "ʃ", "t", "l", "k", "ɹ", "w", "i", "ɪ", "e", "ɛ", "a", "æ", "ʌ", "o", "u", "y"]
COLUMNS = 8


def label(picture, text):
    """`text` on a strip under the picture."""
    strip = np.full((26, picture.shape[1], 3), 245, np.uint8)
    cv2.putText(strip, text, (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([picture, strip])


def moments(player, per_sound=1):
    """`(sound, word, loop index, frame made, true code)` at the middle of each sound of `SOUNDS`, first found."""
    found = {}
    start = 0
    for _, samples, spoken, code in held_out(Espeak(), 1):
        contexts = player.contexts(samples)
        marks = [(begin, end, name) for begin, end, name in spoken.phonemes if name] + [(0.1, 0.14, "")]
        for begin, end, name in marks:
            sound = next((s for s in SOUNDS if s and name.startswith(s)), "") if name else ""
            if (name and not sound) or sound in found or (name and end - begin < 0.05):
                continue
            i = int((begin + end) / 2 * draw.FPS)
            if i < len(code):
                word = next((w for a, b, w in spoken.words if a <= begin < b), "")
                loop = (start + 5 * len(found)) % draw.FRAMES
                found[sound] = (sound, word, loop, player.draw(loop, contexts[i]), code[i])
        start += len(code)
    return [found[s] for s in SOUNDS if s in found]


def ascii_word(word):
    return word.strip(".,;:!?¿¡'").encode("latin-1", "ignore").decode("latin-1")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avatar", type=Path, default=Path("../../avatars/demo"))
    options = parser.parse_args()
    tiles = []
    for sound, word, loop, frame, code in moments(Player(options.avatar)):
        pose = draw.pose(loop)
        x, y = (round(v) for v in draw.in_frame(pose, 0, draw.MOUTH_Y + 8))
        area = [x - 80, y - 62, x + 80, y + 68]
        truth = draw.frame(pose, code, area)
        made = frame[area[1] : area[3], area[0] : area[2]]
        spelt = articulation.classes(sound)[0] if sound else "silence"
        tiles.append(label(np.vstack([truth, np.full((3, 160, 3), 255, np.uint8), made]), f"{spelt}: {ascii_word(word)}" if sound else spelt))
    tiles += [np.full_like(tiles[0], 245)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(options.avatar / "contact_sheet.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 93])


if __name__ == "__main__":
    main()
