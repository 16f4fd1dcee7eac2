/** The camera: painted live at a small size, a picture at full size, a film of what is painted. */

import { $, alarm, button, canvas, tell } from "./dom";
import type { Engine } from "./engine";
import { download, type Named } from "./files";
import type { Point, Settings } from "./messages";
import { fitted } from "./resize";
import { showPainted } from "./stage";

const LIVE = 320; // long side that is painted live

interface Studio {
  worker: () => Promise<Engine>;
  style: () => Point;
  settings: () => Settings;
  take: (picture: Named) => Promise<void>;
  /** Is told when the camera goes on and off. */
  live: (on: boolean) => void;
}

/** Let the camera's buttons work. */
export function beginCamera(studio: Studio): void {
  const toggle = button("camera");
  toggle.hidden = !navigator.mediaDevices?.getUserMedia;
  let stream: MediaStream | null = null;
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;

  const close = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    stopRecording();
    show(false);
  };

  const show = (on: boolean) => {
    $("live").hidden = !on;
    $("frame").classList.toggle("live-view", on);
    toggle.setAttribute("aria-pressed", String(on));
    studio.live(on);
  };

  const paintFrame = async (engine: Engine) => {
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
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    stream.getVideoTracks()[0].onended = close;
    video.srcObject = stream;
    await video.play();
    show(true);
    tell("The camera is on. What it sees stays on this device.");
    while (stream) await paintFrame(await studio.worker());
  };

  toggle.onclick = () => {
    if (stream) close();
    else
      run().catch((error) => {
        close();
        alarm(
          error.name === "NotAllowedError"
            ? "The camera may not be used: allow it in the browser's settings of this page."
            : error.name === "NotFoundError"
              ? "There is no camera."
              : error,
        );
      });
  };

  button("snap").onclick = async () => {
    const still = document.createElement("canvas");
    still.width = video.videoWidth;
    still.height = video.videoHeight;
    still.getContext("2d")?.drawImage(video, 0, 0);
    close();
    still.toBlob((blob) => blob && studio.take({ name: "camera.jpg", blob }), "image/jpeg", 0.95);
  };

  let recorder: MediaRecorder | null = null;
  const stopRecording = () => {
    recorder?.stop();
    recorder = null;
    button("record").setAttribute("aria-pressed", "false");
    button("record").textContent = "Record";
  };
  button("record").hidden = typeof MediaRecorder === "undefined";
  button("record").onclick = () => {
    if (recorder) {
      stopRecording();
      return;
    }
    const parts: Blob[] = [];
    recorder = new MediaRecorder(canvas("after").captureStream());
    const { mimeType } = recorder;
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      download(
        new Blob(parts, { type: mimeType }),
        mimeType.includes("mp4") ? "painted.mp4" : "painted.webm",
      );
    };
    recorder.start();
    button("record").setAttribute("aria-pressed", "true");
    button("record").textContent = "Stop";
  };
}
