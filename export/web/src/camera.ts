/** The camera: painted live at a small size, a picture at full size, a film of what is painted. */

import { $, alarm, button, calm, canvas, tell } from "./dom";
import { Cancelled } from "./engine";
import { download, type Named } from "./files";
import type { Point, Settings } from "./messages";
import { canRecord, type Recording, record } from "./recorder";
import { fitted } from "./resize";
import { showPainted } from "./stage";
import { worker } from "./studio";

const LIVE = 320; // long side that is painted live

interface Studio {
  style: () => Point;
  settings: () => Settings;
  take: (picture: Named) => Promise<void>;
  /** Is told when the camera goes on and off. */
  live: (on: boolean) => void;
}

/** Let the camera's buttons work; returns what switches it off. */
export function beginCamera(studio: Studio): () => void {
  const toggle = button("camera");
  toggle.hidden = !navigator.mediaDevices?.getUserMedia;
  let stream: MediaStream | null = null;
  let asking = false; // whoever sits before it, who may think about it
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;

  const close = () => {
    if (!stream) return;
    for (const track of stream.getTracks()) track.stop();
    stream = null;
    endRecording();
    show(false);
  };

  const show = (on: boolean) => {
    $("live").hidden = !on;
    $("frame").classList.toggle("live-view", on);
    toggle.setAttribute("aria-pressed", String(on));
    studio.live(on);
  };

  const paintFrame = async () => {
    const engine = await worker();
    const { model, point } = studio.style();
    await engine.load(model);
    const [height, width] = fitted([video.videoHeight, video.videoWidth], LIVE);
    const options = { resizeWidth: width, resizeHeight: height };
    const source = await createImageBitmap(video, options);
    await engine.ask("open", { photo: "camera", source }, undefined, [source]);
    const settings = studio.settings();
    const job = { photo: "camera", height, width, style: { model, point }, settings };
    const pixels = await engine.ask("paint", job);
    if (stream) showPainted(pixels);
  };

  const run = async () => {
    const wanted = { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1080 } };
    const own = await navigator.mediaDevices.getUserMedia({ video: wanted });
    stream = own;
    asking = false;
    own.getVideoTracks()[0].onended = close;
    video.srcObject = own;
    await video.play();
    show(true);
    tell("The camera is on. What it sees stays on this device.");
    while (stream === own) {
      await paintFrame().catch((error) => {
        if (!(error instanceof Cancelled)) throw error; // of what was painted before
      });
    }
  };

  toggle.onclick = () => {
    calm();
    if (stream) close();
    else if (!asking) {
      asking = true;
      run().catch((error) => {
        asking = false;
        close();
        alarm(told(error));
      });
    }
  };

  button("snap").onclick = async () => {
    const still = document.createElement("canvas");
    still.width = video.videoWidth;
    still.height = video.videoHeight;
    still.getContext("2d")?.drawImage(video, 0, 0);
    close();
    still.toBlob((blob) => blob && studio.take({ name: "camera.jpg", blob }), "image/jpeg", 0.95);
  };

  let recording: Recording | null = null;
  const endRecording = () => {
    recording?.end().then(({ blob, suffix }) => download(blob, `painted.${suffix}`));
    recording = null;
    button("record").setAttribute("aria-pressed", "false");
    button("record").textContent = "Record";
  };
  button("record").hidden = !canRecord;
  button("record").onclick = () => {
    if (recording) {
      endRecording();
      return;
    }
    recording = record(canvas("after").captureStream());
    button("record").setAttribute("aria-pressed", "true");
    button("record").textContent = "Stop";
  };
  return close;
}

/** What went wrong with a camera, in words. */
function told(error: Error): string {
  return (
    {
      NotAllowedError:
        "The camera may not be used: allow it in the browser's settings of this page.",
      NotFoundError: "There is no camera.",
      NotReadableError: "The camera cannot be opened: another program may be using it.",
    }[error.name] ?? error.message
  );
}
