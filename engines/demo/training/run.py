"""What every run shares: optimiser, rate, averaging, checkpoints, log."""

import copy
import math
import time

import torch
from tqdm import tqdm

from export import bundle_state, fit


def average(into, model, keep):
    """Exponential moving average of weights, and of batch norm's statistics."""
    with torch.no_grad():
        for a, b in zip(into.state_dict().values(), model.state_dict().values()):
            a.lerp_(b, 1 - keep) if a.dtype.is_floating_point else a.copy_(b)


class Run:
    """What both halves share: optimiser, cosine rate with warm-up, averaging, checkpoints, log."""

    def __init__(self, name, modules, options):
        self.name, self.options = name, options
        self.model = torch.nn.ModuleDict(modules)
        self.smooth = copy.deepcopy(self.model).eval()
        # the few layers that bring the code into the picture learn faster: all else waits for them
        hears = lambda n: any(part in n for part in (".code.", ".spread.", ".shape."))
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        groups = [(3.0, [p for n, p in named if hears(n)]), (1.0, [p for n, p in named if not hears(n)])]
        self.scales = [scale for scale, parameters in groups if parameters]
        self.optimiser = torch.optim.AdamW([{"params": p} for _, p in groups if p], lr=options.rate, weight_decay=options.decay)
        self.path = options.cache / f"{name}.pt"
        self.step, self.spent = 0, 0.0
        if options.bundle and not self.path.exists():
            self.log(f"begun with the networks of {options.bundle}, batch norm folded")
        if options.warm and not self.path.exists():
            saved = torch.load(options.warm)["model"]
            known = self.model.state_dict()
            fitting = {k: v for k, v in saved.items() if k in known and known[k].shape == v.shape}
            self.model.load_state_dict(fitting, strict=False)
            self.smooth.load_state_dict(self.model.state_dict())
            self.log(f"begun with {len(fitting)} of {len(known)} tensors of {options.warm}")
        if self.path.exists():
            saved = torch.load(self.path)
            self.model.load_state_dict(saved["model"])
            self.smooth.load_state_dict(saved["smooth"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step, self.spent = saved["step"], saved["spent"]
            self.log(f"resumed at step {self.step}")

    def log(self, line):
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {self.name} {line}"
        tqdm.write(line)
        with open(self.options.log, "a") as f:
            f.write(line + "\n")

    def save(self):
        saved = {"model": self.model.state_dict(), "smooth": self.smooth.state_dict(), "step": self.step,
                 "optimiser": self.optimiser.state_dict(), "spent": self.spent}
        torch.save(saved, self.path.with_suffix(".tmp"))
        self.path.with_suffix(".tmp").replace(self.path)

    def run(self, loss_of, validate):
        """`loss_of(step) -> (loss, figures)` until `--steps`; validates and saves now and then."""
        options, sums, count, mark = self.options, {}, 0, time.time()
        self.model.train()
        if self.step == 0:
            size = sum(p.numel() for p in self.model.parameters())
            self.log(f"{size} parameters, torch {torch.__version__}, {torch.get_num_threads()} threads, {vars(options)}")
        for step in tqdm(range(self.step, options.steps), initial=self.step, total=options.steps, desc=self.name, mininterval=10):
            warm = min(1.0, (step + 1) / 100)
            rate = options.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / options.steps)))
            for group, scale in zip(self.optimiser.param_groups, self.scales):
                group["lr"] = rate * scale
            torch.manual_seed(options.seed * 1_000_003 + step)  # the same step draws the same numbers after a resume
            loss, figures = loss_of(step)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            average(self.smooth, self.model, min(0.995, (step + 1) / (step + 20)))
            self.step, count = step + 1, count + 1
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            if self.step % options.every == 0 or self.step == options.steps:
                self.spent += time.time() - mark
                mark = time.time()
                mean = " ".join(f"{k} {v / count:.5f}" for k, v in sums.items())
                self.log(f"step {self.step}/{options.steps} {self.spent / 60:.1f} min rate {rate:.2e} {mean} | {validate()}")
                sums, count = {}, 0
                self.save()


def begin(name, module, options):
    """`module`, or with `--bundle` its folded form with the bundle's weights, to go on from what was shipped."""
    if not options.bundle:
        return module
    state = {k.removeprefix(name + "."): v for k, v in bundle_state(options.bundle).items() if k.startswith(name + ".")}
    return fit(module, state)
