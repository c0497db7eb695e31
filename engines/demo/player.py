"""Runs a bundle as lipsyncd does, step by step after the recipe, with ONNX Runtime: the judge's own path."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

import mel
import recipe


class Player:
    """An avatar bundle, loaded."""

    def __init__(self, folder, threads=1):
        folder = Path(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        open_model = lambda name: onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
        self.encoder, self.generator = open_model("audio_encoder.onnx"), open_model("generator.onnx")
        self.frames = [cv2.imread(str(path)) for path in sorted((folder / "frames").glob("*.jpg"))]
        self.boxes = json.loads((folder / "boxes.json").read_text())
        self.crops = [recipe.crop(f, b) for f, b in zip(self.frames, self.boxes)]

    def contexts(self, samples):
        """Generator's audio inputs for the whole sound."""
        windows = mel.windows(mel.mel_spectrogram(samples))
        features = self.encoder.run(None, {self.encoder.get_inputs()[0].name: windows})[0]
        return mel.contexts(features, mel.frame_count(samples))

    def play(self, samples, start=0):
        """Yields `(loop index, frame)`, one per video frame, beginning at avatar frame `start`."""
        for i, context in enumerate(self.contexts(samples)):
            at = recipe.ping_pong(start + i, len(self.frames))
            yield at, self.draw(at, context)

    def draw(self, at, context):
        """Loop frame `at` speaking `context`."""
        names = [i.name for i in self.generator.get_inputs()]
        feed = dict(zip(names, (recipe.generator_input(self.crops[at])[None], context[None])))
        return recipe.paste(self.frames[at], self.boxes[at], self.crops[at], self.generator.run(None, feed)[0][0])
