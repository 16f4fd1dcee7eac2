/** The picture: photograph and painting with a divider between them, and what is being done. */

import { $, button, canvas, draw, input } from "./dom";
import type { Pixels } from "./messages";

const SHOWN = 2048; // the photograph need not be drawn larger than any screen
const PATIENCE_MS = 400; // until it is said that something is being done

const frame = $("frame");
let timer = 0;

/** Show a photograph, if it is still wanted once it is decoded. */
export async function showPhotograph(source: Blob, wanted = () => true): Promise<void> {
  const bitmap = await createImageBitmap(source);
  const long = Math.max(bitmap.width, bitmap.height);
  const scale = Math.min(1, SHOWN / long);
  const small = await createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
    resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
    resizeQuality: "high",
  });
  if (wanted()) {
    draw(canvas("before"), small);
    frame.style.setProperty("--ratio", String(bitmap.width / bitmap.height));
    frame.classList.remove("painted");
  }
  bitmap.close();
  small.close();
}

/** Show what was painted. */
export function showPainted({ data, width, height }: Pixels): void {
  draw(canvas("after"), new ImageData(data, width, height));
  frame.classList.add("painted");
  frame.style.setProperty("--ratio", String(width / height));
}

/** Whether there is anything to compare the photograph with. */
export function isPainted(): boolean {
  return frame.classList.contains("painted");
}

/** Decode what somebody else painted. */
export async function toPixels(file: Blob): Promise<Pixels> {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("The picture is too large for this browser.");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { data: context.getImageData(0, 0, width, height).data, width, height, took_ms: null };
}

/** What was painted, as a file. */
export function painted(type: string): Promise<Blob> {
  const from = canvas("after");
  let source = from;
  if (type === "image/jpeg") {
    source = document.createElement("canvas"); // which has no alpha
    source.width = from.width;
    source.height = from.height;
    const context = source.getContext("2d") as CanvasRenderingContext2D;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, source.width, source.height);
    context.drawImage(from, 0, 0);
  }
  return new Promise((resolve, reject) => {
    const done = (blob: Blob | null) =>
      blob
        ? resolve(blob)
        : reject(new Error("The picture is too large for this browser to save."));
    source.toBlob(done, type, 0.95);
  });
}

/** Say what is being done, once it takes long; without text: nothing is. */
export function busy(text = ""): void {
  const box = $("busy");
  if (!text) {
    clearTimeout(timer);
    timer = 0;
    box.hidden = true;
    return;
  }
  $("doing").textContent = text;
  $<HTMLProgressElement>("progress").removeAttribute("value");
  timer ||= window.setTimeout(() => {
    box.hidden = false;
  }, PATIENCE_MS);
}

/** Say how much of it is done, from 0 to 1. */
export function progress(share: number): void {
  $<HTMLProgressElement>("progress").value = share;
}

/** Call a function when somebody cancels. */
export function onCancel(cancel: () => void): void {
  button("cancel").onclick = cancel;
}

input("divider").oninput = () => frame.style.setProperty("--at", `${input("divider").value}%`);
