"""The demo avatar's two networks: a slim cut of SyncTalk_2D's architecture family.

Sound travels  mel window [N,1,80,16] -> AudioEncoder -> feature [N,512],
then           context [N,32,16,16]   -> Listener     -> articulation code [N,7],
picture side   [N,6,320,320] + code   -> Painter      -> picture [N,3,320,320], 0..1, BGR.

`Generator` is Listener + Painter in one graph, which is what gets exported. The two halves meet in seven
numbers (articulation.PARAMETERS) so that they can be trained apart: the Painter on drawings whose articulation is
known exactly, the encoder and the Listener on speech whose articulation is known exactly. A wrong guess about the
sound then moves the mouth but never blurs it.
"""

import torch
from torch import nn

CODE = 7  # articulation numbers, see articulation.PARAMETERS
FEATURE = 512  # audio encoder's output per video frame
CONTEXT = 16  # features a frame sees; FEATURE * CONTEXT == 32 * 16 * 16
WIDTHS = (16, 32, 64, 96, 160)  # channels at 160, 80, 40, 20 and 10 pixels


def conv_bn(inputs, outputs, kernel=3, stride=1, padding=None, groups=1, act=True):
    """Convolution + batch norm (+ ReLU), 'same' padding unless told otherwise."""
    padding = kernel // 2 if padding is None else padding
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """1x1 expand, 3x3 depthwise, 1x1 project; adds its input where the shapes allow."""

    def __init__(self, inputs, outputs, stride=1, expand=2):
        super().__init__()
        hidden = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            conv_bn(inputs, hidden, 1),
            conv_bn(hidden, hidden, 3, stride, groups=hidden),
            conv_bn(hidden, outputs, 1, act=False),
        )

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


class Up(nn.Module):
    """Halves the channels *before* doubling the picture (four times fewer sums), joins the skip, hears the code.

    The code also scales and shifts the channels here: through the bottleneck alone the teeth stay blurred for long.
    """

    def __init__(self, inputs, outputs, code_width, blocks=1):
        super().__init__()
        self.outputs = outputs
        self.reduce = conv_bn(inputs, outputs, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.merge = InvertedResidual(2 * outputs, outputs, expand=1)
        self.shape = nn.Conv2d(code_width, 2 * outputs, 1)
        self.refine = nn.Sequential(*[InvertedResidual(outputs, outputs) for _ in range(blocks)])
        nn.init.zeros_(self.shape.weight)
        nn.init.zeros_(self.shape.bias)

    def forward(self, x, skip, code):
        x = self.merge(torch.cat([self.upsample(self.reduce(x)), skip], 1))
        both = self.shape(code)
        return self.refine(x + x * both[:, : self.outputs] + both[:, self.outputs :])


class AudioEncoder(nn.Module):
    """One mel window `[N, 1, 80, 16]` (values -4..4) to one feature `[N, 512]`."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(1, 24, stride=2),  # 40 x 8
            conv_bn(24, 40, stride=2),  # 20 x 4
            conv_bn(40, 72, stride=(2, 1)),  # 10 x 4
            InvertedResidual(72, 72),
            conv_bn(72, 112, stride=2),  # 5 x 2
            InvertedResidual(112, 112),
            nn.Conv2d(112, FEATURE, (5, 2)),
            nn.Tanh(),
        )

    def forward(self, mel):
        return self.body(mel * 0.5).flatten(1)


class Listener(nn.Module):
    """Context `[N, 32, 16, 16]` (16 features, oldest first) to articulation code `[N, 7]`."""

    def __init__(self, hidden=96):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(32, hidden, 16),  # the whole context at once: a linear layer
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, CODE, 1),
        )

    def forward(self, context):
        return self.body(context)  # [N, 7, 1, 1]


class Painter(nn.Module):
    """Reference + masked picture `[N, 6, 320, 320]` and code `[N, 7, 1, 1]` to the picture `[N, 3, 320, 320]`.

    A U-Net of five levels, 160 to 10 pixels. The last layer paints three colours and an opacity over the reference
    picture: whatever does not move with speech is handed through untouched, so it stays as sharp as it came.
    """

    def __init__(self, widths=WIDTHS, code_width=64):
        super().__init__()
        a, b, c, d, e = widths
        self.stem = conv_bn(6, a, 3, 2)  # 160
        self.down1 = nn.Sequential(InvertedResidual(a, b, 2), InvertedResidual(b, b))  # 80
        self.down2 = nn.Sequential(InvertedResidual(b, c, 2), InvertedResidual(c, c))  # 40
        self.down3 = nn.Sequential(InvertedResidual(c, d, 2), InvertedResidual(d, d))  # 20
        self.down4 = nn.Sequential(InvertedResidual(d, e, 2), InvertedResidual(e, e))  # 10
        # brings every number to about -1..1: teeth and tongue vary little, and would be learned late
        self.register_buffer("centre", torch.tensor([0.3, 0.3, 0.05, 0.15, 0.5, 0.2, 0.3])[None, :, None, None])
        self.register_buffer("gain", torch.tensor([2.0, 3.0, 3.0, 3.0, 6.0, 6.0, 8.0])[None, :, None, None])
        self.code = nn.Sequential(
            nn.Conv2d(CODE, code_width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(code_width, code_width, 1),
            nn.ReLU(inplace=True),
        )
        self.spread = nn.ConvTranspose2d(code_width, code_width, 10)
        self.join = nn.Sequential(InvertedResidual(e + code_width, e, expand=1), InvertedResidual(e, e))
        self.up4, self.up3 = Up(e, d, code_width), Up(d, c, code_width)
        self.up2, self.up1 = Up(c, b, code_width, blocks=2), Up(b, a, code_width, blocks=2)
        self.paint = nn.Conv2d(a, 16, 1)
        self.shuffle = nn.PixelShuffle(2)
        with torch.no_grad():
            self.paint.bias.zero_()
            self.paint.bias[12:].fill_(-2.0)  # begin by showing the reference

    def forward(self, picture, code, roi=None):
        """`roi = (y, x, size)`, multiples of 32: `picture` is that part of the 320x320 (training only)."""
        return self.paint_over(picture[:, :3], self.look(picture), code, roi)

    def look(self, picture):
        """What the picture shows, at 160, 80, 40, 20 and 10 pixels: the half that hears nothing."""
        seen = [self.stem(picture)]
        for down in (self.down1, self.down2, self.down3, self.down4):
            seen.append(down(seen[-1]))
        return seen

    def paint_over(self, reference, seen, code, roi=None, area=None):
        """The reference with the face of `code` painted over it.

        `area = (y, x, height, width)`, multiples of 16: from 20 pixels on, only this part of the picture is painted,
        and only this part returned (training only).
        """
        s1, s2, s3, s4, s5 = seen
        code = self.code((code - self.centre) * self.gain)
        sound = self.spread(code)
        if roi is not None:
            y, x, size = (v // 32 for v in roi)
            sound = sound[:, :, y : y + size, x : x + size]
        x = self.join(torch.cat([s5, sound], 1))
        x = self.up4(x, s4, code)
        if area is not None:
            x, s3, s2, s1, reference = (part(v, area) for v in (x, s3, s2, s1, reference))
        x = self.up3(x, s3, code)
        x = self.up2(x, s2, code)
        x = self.up1(x, s1, code)
        painted = self.shuffle(self.paint(x))
        if painted.dtype != torch.float32:  # bfloat16 training: eight bits are too few for a colour
            painted = painted.float()
        painted = torch.sigmoid(painted)
        colour, opacity = painted[:, :3], painted[:, 3:]
        return reference + opacity * (colour - reference)


def part(x, area):
    """The part of a feature map or picture that covers `area` of the 320x320."""
    y, left, height, width = (v * x.shape[-1] // 320 for v in area)
    return x[:, :, y : y + height, left : left + width]


class Generator(nn.Module):
    """What is exported: picture `[N, 6, 320, 320]`, context `[N, 32, 16, 16]` -> `[N, 3, 320, 320]`."""

    def __init__(self, listener, painter):
        super().__init__()
        self.listener, self.painter = listener, painter

    def forward(self, picture, context):
        return self.painter(picture, self.listener(context))
