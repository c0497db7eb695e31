"""The compositors of docs/protocol.md, in a real browser, on what a real daemon sends."""

import base64
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import daemon
import pytest
import talk
from stubs import lipsync

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")

PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
{code}
const data = {data};
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const bitmap = (jpeg) => createImageBitmap(new Blob([jpeg], {{ type: "image/jpeg" }}));
const canvas = () => new OffscreenCanvas(data.width, data.height).getContext("2d", {{ willReadFrequently: true }});
const pixels = (context) => context.getImageData(0, 0, data.width, data.height).data;
async function compare() {{
  const kept = [];
  for (const jpeg of data.backgrounds) kept.push(await bitmap(bytes(jpeg)));
  const said = [];
  for (const frame of data.frames) {{
    const whole = canvas(), mine = canvas();
    whole.drawImage(await bitmap(bytes(frame.whole)), 0, 0);
    await show(mine, kept, {{ avatarFrame: frame.avatarFrame, patch: {{ ...frame.place, jpeg: bytes(frame.jpeg) }} }});
    const [a, b, p] = [pixels(whole), pixels(mine), frame.place];
    let different = 0;
    for (let y = 0; y < data.height; y++) for (let x = 0; x < data.width; x++) {{
      const dx = Math.min(Math.abs(x - p.x + 0.5), Math.abs(x - p.x - p.width + 0.5));
      const dy = Math.min(Math.abs(y - p.y + 0.5), Math.abs(y - p.y - p.height + 0.5));
      const at = 4 * (y * data.width + x);
      if (Math.min(dx, dy) > 2 && [0, 1, 2].some((c) => a[at + c] !== b[at + c])) different++;
    }}
    const file = splice(bytes(data.backgrounds[frame.avatarFrame]), {{ ...frame.place, segments: bytes(frame.segments) }});
    const made = new Uint8Array(await file.arrayBuffer()), wanted = bytes(frame.whole);
    said.push({{ different, same: made.length === wanted.length && made.every((b, i) => b === wanted[i]) }});
  }}
  return JSON.stringify(said);
}}
const said = await compare().catch(String);
await fetch("/", {{ method: "POST", body: said }});
</script>"""


def documented_code() -> str:
    blocks = re.findall(r"```js\n(.*?)```", (daemon.ROOT / "docs/protocol.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    return "\n".join(blocks)


def said_by_browser(page: bytes) -> str:
    """What the page posts back when Chromium has opened it."""
    said: queue.Queue[str] = queue.Queue()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page if self.path == "/" else b"")

        def do_POST(self):
            said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    # A short name, for the socket that the browser makes in TMPDIR and leaves there when killed.
    folder = tempfile.TemporaryDirectory(prefix="lipsyncd-web-", ignore_cleanup_errors=True)
    with folder, ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        browser = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={folder.name}/profile", url],
                                   env={**os.environ, "TMPDIR": folder.name},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return said.get(timeout=60)
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")
@pytest.mark.parametrize("name", ["plain", "odd"])
def test_the_documented_compositors_work(name, client, voice):
    sound = talk.f32(voice[:4000])
    text = lambda data: base64.b64encode(data).decode()
    whole, small, cut = (talk.synthesize(client, name, sound, output=f"OUTPUT_{output}")
                         for output in ("FRAME", "PATCH_JPEG", "PATCH_SEGMENTS"))
    answers = list(client.GetAvatarFrames(lipsync.GetAvatarFramesRequest(avatar_id=name), timeout=60))
    head = answers[0].backgrounds
    place = lambda p: dict(x=p.x, y=p.y, width=p.width, height=p.height, firstSegment=p.first_segment,
                           runLength=p.run_length, runs=p.runs, runStride=p.run_stride)
    frames = [dict(avatarFrame=w.avatar_frame, whole=text(w.jpeg), jpeg=text(s.patch.jpeg),
                   segments=text(c.patch.segments), place=place(s.patch)) for w, s, c in zip(whole, small, cut)]
    data = dict(width=head.width, height=head.height, frames=frames,
                backgrounds=[text(a.frame.jpeg) for a in answers[1:]])
    page = PAGE.format(code=documented_code(), data=json.dumps(data)).encode()
    assert json.loads(said_by_browser(page)) == [dict(different=0, same=True)] * len(frames)
